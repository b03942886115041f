"""Per-example records: one row for each image and threat model, as Parquet."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nnrobust.errors import RecordError
from nnrobust.runtime.outputs import finished_file

_SHA256 = "nnrobust.sha256"
"""The key, in the metadata of a file of records, of the sha256 of its values: Parquet's own checksums leave out its footer."""
KINDS = ("exact", "certified", "attacked")
ALL_CLASSES = "all"
"""What the column `pair` holds for the problem that has every class at once."""
_ON_PAIRS = "|pairs"
TRAINED, TRAINED_SLOWER, UNTRAINED = "ok", "ok at half the learning rate", "failed"
"""How the training of a pair ended, in the column `status` of the tables of training."""
TEXT = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("dataset", TEXT, nullable=False),
        pa.field("split", TEXT, nullable=False),
        pa.field("classifier", TEXT, nullable=False),
        pa.field("pair", TEXT, nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("label", pa.int16(), nullable=False),
        pa.field("prediction", pa.int16(), nullable=False),
        pa.field("norm", TEXT, nullable=False),
        pa.field("epsilon", pa.float64(), nullable=False),
        pa.field("kind", TEXT, nullable=False),
        pa.field("method", TEXT, nullable=False),
        pa.field("attacks", TEXT, nullable=False),
        pa.field("is_correct", pa.bool_(), nullable=False),
        pa.field("is_robust", pa.bool_(), nullable=False),
        pa.field("radius_lower", pa.float64(), nullable=False),
        pa.field("radius_upper", pa.float64(), nullable=False),
        pa.field("radius_half_gap", pa.float64()),
        pa.field("radius_bisector", pa.float64()),
        pa.field("box_radius_lower", pa.float64()),
        pa.field("box_radius_upper", pa.float64()),
        pa.field("perturbation_norm", pa.float64()),
        pa.field("note", TEXT, nullable=False),
        pa.field("status", TEXT, nullable=False),
    ]
)
"""`index` counts within the split of the stored dataset; `label` and `prediction` are its class ids. The radius, in units of
pixel range [0, 1], lies in [radius_lower, radius_upper]; infinity where nothing bounds it from above.
`radius_half_gap` and `radius_bisector` are the two certificates of 1NN, and its radius for perturbed images in [0, 1] lies in
[box_radius_lower, box_radius_upper], where the radius itself has no box; all null for networks. `perturbation_norm` is of the
nearest adversarial image found, null where none was. `method` is the proof, or the attack that fooled; `attacks` are all that the
image had to withstand, in order, joined by ` + `, empty for 1NN. `note` says what the attack met, such as vanishing gradients.
`status` is `ok`, or says why the row has no verdict."""


def name_on_pairs(model: str) -> str:
    """What the column `classifier` holds for a model of all classes that tells each pair apart by its two logits."""
    return f"{model}{_ON_PAIRS}"


def is_on_pairs(classifier: str) -> bool:
    """Whether this is the name of a model on pairs, as `name_on_pairs` gives it."""
    return classifier.endswith(_ON_PAIRS)


def to_frame(columns: Mapping[str, object]) -> pd.DataFrame:
    """A frame with the schema's columns in order, from arrays and constants by column name.

    Raises:
        RecordError: when a column is missing or unknown.
    """
    expected = set(SCHEMA.names)
    if set(columns) != expected:
        missing, unknown = sorted(expected - set(columns)), sorted(set(columns) - expected)
        raise RecordError(f"records: expected the columns of the schema; missing {missing}, unknown {unknown}")
    n = len(np.asarray(columns["index"]))
    frame = {}
    for name in SCHEMA.names:
        value = columns[name]
        if pa.types.is_dictionary(SCHEMA.field(name).type):
            value = pd.Categorical(np.broadcast_to(np.asarray(value, dtype=object), (n,)))
        frame[name] = value
    return pd.DataFrame(frame, index=range(n))


def write_records(frames: Iterable[pd.DataFrame], path: Path | str) -> None:
    """Writes frames, one after the other, as one Parquet file with checksums, whole or not at all.

    Raises:
        RecordError: when a frame does not fit the schema or holds a verdict that its own columns contradict.
    """
    options = {"compression": "zstd", "write_page_checksum": True}
    digest = _Digest()
    with finished_file(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, **options) as writer:
        for frame in frames:
            check_records(frame, str(path))
            try:
                table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False, safe=True)
                writer.write_table(table)
            except (pa.ArrowInvalid, pa.ArrowTypeError, KeyError) as error:
                raise RecordError(f"{path}: records do not fit the schema: {error}") from error
            digest.update(table.to_pandas())
        writer.add_key_value_metadata({_SHA256: digest.hex()})


def read_records(path: Path | str) -> pd.DataFrame:
    """The records of one file, which are those that were written.

    Raises:
        RecordError: when the file is missing, is no Parquet file, is damaged, has another schema, or other values than were
            written.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            written = (file.metadata.metadata or {}).get(_SHA256.encode(), b"").decode("ascii", "replace")
            table = file.read()
        names = table.schema.names
        frame = table.to_pandas() if names == SCHEMA.names else None
        got = _Digest().update(frame).hex() if frame is not None else ""
    except (OSError, pa.ArrowException, ValueError, TypeError, OverflowError, MemoryError, KeyError) as error:
        cause = " ".join(str(error).split())
        raise RecordError(f"{path}: expected a Parquet file of records: {cause}; run `dvc repro`") from error
    if frame is None:
        raise RecordError(f"{path}: expected the columns {SCHEMA.names}, got {names}; run `dvc repro`")
    if got != written:
        raise RecordError(
            f"{path}: expected records with the sha256 {written or 'that is written with them'}, got {got}: the file was "
            "changed, or is of an older version; delete it and run `dvc repro`"
        )
    return frame


class _Digest:
    """A sha256 over the values of frames of records, whichever way they are cut into frames and encoded."""

    def __init__(self) -> None:
        self.columns = {name: hashlib.sha256() for name in SCHEMA.names}

    def update(self, frame: pd.DataFrame) -> "_Digest":
        for name, digest in self.columns.items():
            values = frame[name]
            if isinstance(values.dtype, pd.CategoricalDtype):
                texts = [
                    hashlib.sha256(str(text).encode("utf-8", "surrogatepass")).digest()
                    for text in values.cat.categories
                ]
                numbers = np.frombuffer(b"".join(texts) + bytes(32), dtype="<u8").reshape(-1, 4)[
                    values.cat.codes.to_numpy()
                ]
            else:
                numbers = values.to_numpy()
                numbers = np.where(np.isnan(numbers), np.nan, numbers) if numbers.dtype.kind == "f" else numbers
            digest.update(np.ascontiguousarray(numbers).tobytes())
        return self

    def hex(self) -> str:
        return hashlib.sha256("".join(digest.hexdigest() for digest in self.columns.values()).encode()).hexdigest()


def check_records(frame: pd.DataFrame, where: str) -> None:
    """Checks that no row contradicts itself.

    A wrong prediction has radius 0 and is not robust; bounds are ordered; a robust row of kind certified or exact has
    radius_lower > epsilon (the ball is closed), and an attacked row that fell has a perturbation of at most radius_upper.

    Raises:
        RecordError: naming `where`, the rule, and the first row that breaks it.
    """
    correct, robust = frame["is_correct"].to_numpy(), frame["is_robust"].to_numpy()
    lower, upper = frame["radius_lower"].to_numpy(), frame["radius_upper"].to_numpy()
    box_lower, box_upper = frame["box_radius_lower"].to_numpy(), frame["box_radius_upper"].to_numpy()
    proven = frame["kind"].isin(["certified", "exact"]).to_numpy()
    rules = {
        "kind is one of " + ", ".join(KINDS): frame["kind"].isin(KINDS).to_numpy(),
        "is_correct means prediction == label": correct == (frame["prediction"] == frame["label"]).to_numpy(),
        "a wrong prediction is not robust": correct | ~robust,
        "a wrong prediction has radius 0": correct | (upper == 0),
        "0 <= radius_lower <= radius_upper": (lower >= 0) & (lower <= upper),
        "0 <= box_radius_lower <= box_radius_upper": np.isnan(box_lower) | (box_lower >= 0) & (box_lower <= box_upper),
        "radius_lower <= box_radius_upper": np.isnan(box_upper) | (lower <= box_upper * (1 + 1e-9)),
        "an exact row that is not robust has radius_upper <= epsilon": (
            (frame["kind"] != "exact").to_numpy() | robust | (upper <= frame["epsilon"].to_numpy())
        ),
        "a proof of robustness has radius_lower > epsilon": ~proven | ~robust | (lower > frame["epsilon"].to_numpy()),
        "an attacked row is robust or has radius_upper": proven | robust | np.isfinite(upper),
        "an attacked row that is robust has radius_upper > epsilon": (
            proven | ~robust | (upper > frame["epsilon"].to_numpy())
        ),
    }
    for rule, holds in rules.items():
        if not holds.all():
            row = frame.iloc[int(np.flatnonzero(~holds)[0])].to_dict()
            raise RecordError(f"{where}: {int((~holds).sum())} of {len(frame)} rows break '{rule}'; the first: {row}")
