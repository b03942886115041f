"""The errors that the library raises: each message says expected, got, where, and what to do."""


class NnrobustError(Exception):
    """Base of every error that this package raises on purpose."""


class ParamError(NnrobustError):
    """A key of the parameters file is unknown, missing, mistyped or out of range."""


class DataError(NnrobustError, ValueError):
    """Images, labels, arrays or archives are missing, damaged or inconsistent."""


class DataWarning(UserWarning):
    """Images or files were skipped, scaled or taken on trust: how many, and why; or saved work was damaged and is done again."""


class DiskError(NnrobustError, OSError):
    """There is no room for an output; none was begun."""


class SolverError(NnrobustError):
    """A question that the bounds found do not decide."""


class TrainingError(NnrobustError):
    """A network cannot be trained with the settings given."""


class AttackError(NnrobustError):
    """A model cannot be attacked, or an attack returned something that its threat model forbids."""


class AttackMemoryError(AttackError, MemoryError):
    """A model cannot be attacked on as many images at once; `attacks.batches` goes on with fewer."""


class FetchError(NnrobustError):
    """A pretrained model is unknown, cannot be had, or is not the file it should be."""


class RecordError(NnrobustError):
    """Per-example records are malformed or contradict each other."""
