"""Threat models and attacks as they are given."""

from collections.abc import Mapping, Sequence

import numpy as np

from nnrobust.attacks.attack import KINDS
from nnrobust.attacks.victim import AttackSpec
from nnrobust.errors import DataError
from nnrobust.threat import ORDER, ThreatModel, parse_epsilon

DEFAULT, AUTOATTACK = "default", "autoattack"
_STANDARD = (("apgd-ce-autoattack", 100), ("apgd-t", 100), ("fab-t", 100), ("square", 5000))
"""AutoAttack's standard version, arXiv 2003.01690: attacks with their steps, of `square` queries, one restart each."""
_USUAL = (("apgd-ce", 40), ("apgd-margin", 20), ("fmn", 30))
"""The attacks on trained networks of the workflow's base profile."""
_BY_QUERIES = "square"


def threat_models(threats: Mapping[str, object] | Sequence[ThreatModel]) -> list[ThreatModel]:
    """Threat models from `{"Linf": "8/255", "L2": 1.74}` or a list, Linf first: what fools there is tried in L2 too.

    Raises:
        DataError: when there is none, a norm is unknown or there twice, or an epsilon is no number above 0.
    """
    pairs = list(threats.items()) if isinstance(threats, Mapping) else [(one.norm, one.epsilon) for one in threats]
    if not pairs or len({norm for norm, _ in pairs}) < len(pairs):
        raise DataError(f"threats: expected one or more norms, each once, got {[norm for norm, _ in pairs]}")
    found = []
    for norm, epsilon in pairs:
        if norm not in ORDER:
            raise DataError(f"threats: expected norms of {', '.join(ORDER)}, got {norm!r}")
        try:
            size = parse_epsilon(epsilon)
        except ValueError as error:
            raise DataError(f"threats: {norm}: {error}") from error
        if not 0 < size < np.inf:
            raise DataError(
                f"threats: {norm}: expected an epsilon above 0, in units of pixels in [0, 1], got {epsilon!r}"
            )
        found.append(ThreatModel(norm, size))
    return sorted(found, key=lambda one: -ORDER[one.norm])


def attack_specs(attacks: str | Sequence[AttackSpec], seed: int, n_classes: int) -> list[AttackSpec]:
    """The attacks on a network with `n_classes` outputs: `default`, `autoattack`, or a list, which is taken as it is.

    Of AutoAttack's standard four, the targeted APGD needs four classes; networks of fewer get `apgd-margin` in its place.

    Raises:
        DataError: when it is neither, or an attack is unknown or there twice.
    """
    if isinstance(attacks, str):
        if attacks not in (DEFAULT, AUTOATTACK):
            raise DataError(f"attacks: expected {DEFAULT}, {AUTOATTACK} or a list of AttackSpec, got {attacks!r}")
        chosen = _USUAL if attacks == DEFAULT else _STANDARD
        names = [(name if n_classes >= KINDS[name].n_classes else "apgd-margin", steps) for name, steps in chosen]
        return [AttackSpec(name, steps, 1, seed) for name, steps in names]
    names_given = [spec.name for spec in attacks]
    unknown = [name for name in names_given if name not in KINDS]
    if unknown or not names_given or len(set(names_given)) < len(names_given):
        raise DataError(f"attacks: expected one or more of {', '.join(KINDS)}, each once, got {names_given}")
    return list(attacks)


def query_specs(attacks: str | Sequence[AttackSpec], seed: int) -> list[AttackSpec]:
    """The attacks on a function that gives no gradient: `square`, as a list has it, else AutoAttack's."""
    given = [] if isinstance(attacks, str) else [spec for spec in attacks if spec.name == _BY_QUERIES]
    return given or [AttackSpec(name, steps, 1, seed) for name, steps in _STANDARD if name == _BY_QUERIES]
