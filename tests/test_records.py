import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from made.records import columns
from nnrobust.errors import RecordError
from nnrobust.records import SCHEMA, check_records, read_records, to_frame, write_records


def test_records_come_back_as_they_were_written(tmp_path):
    fallen = columns(perturbation_norm=np.array([0.1, 0.2, np.nan]), is_robust=np.array([False, False, True]),
                     radius_upper=np.array([0.1, 0.2, np.inf]))  # fmt: skip
    frames = [to_frame(columns()), to_frame(fallen)]
    write_records(frames, tmp_path / "r.parquet")
    read = read_records(tmp_path / "r.parquet")
    assert read.columns.tolist() == SCHEMA.names
    expected = pd.concat([frame.astype({"dataset": object}) for frame in frames], ignore_index=True)
    for name in SCHEMA.names:
        np.testing.assert_array_equal(read[name].to_numpy(), expected[name].to_numpy())


def test_equal_records_are_equal_files(tmp_path):
    for name in ("one", "other"):
        write_records([to_frame(columns())], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_missing_or_unknown_column_is_named():
    values = columns()
    del values["epsilon"]
    with pytest.raises(RecordError, match=r"missing \['epsilon'\], unknown \['eps'\]"):
        to_frame(values | {"eps": 1.0})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"is_correct": np.zeros(3, dtype=bool)}, "is_correct means prediction == label"),
        ({"prediction": np.ones(3, dtype=np.int16), "is_correct": np.zeros(3, dtype=bool), "radius_upper": np.zeros(3)}, "a wrong prediction is not robust"),
        ({"prediction": np.ones(3, dtype=np.int16), "is_correct": np.zeros(3, dtype=bool), "is_robust": np.zeros(3, dtype=bool)}, "a wrong prediction has radius 0"),
        ({"radius_lower": 2.0, "radius_upper": np.ones(3)}, "0 <= radius_lower <= radius_upper"),
        ({"kind": "certified"}, "a proof of robustness has radius_lower > epsilon"),
        ({"kind": "certified", "radius_lower": 0.5}, "a proof of robustness has radius_lower > epsilon"),
        (
            {"kind": "exact", "is_robust": np.zeros(3, dtype=bool), "radius_upper": np.full(3, 0.6)},
            "an exact row that is not robust has radius_upper <= epsilon",
        ),
        ({"is_robust": np.zeros(3, dtype=bool)}, "an attacked row is robust or has radius_upper"),
        ({"radius_upper": np.full(3, 0.4)}, "an attacked row that is robust has radius_upper > epsilon"),
        ({"kind": "guessed"}, "kind is one of exact, certified, attacked"),
    ],
)  # fmt: skip
def test_rows_that_contradict_themselves_are_refused_and_nothing_is_written(tmp_path, changes, rule):
    frame = to_frame(columns(**changes))
    with pytest.raises(RecordError, match=rule):
        check_records(frame, "here")
    with pytest.raises(RecordError, match=rule):
        write_records([to_frame(columns()), frame], tmp_path / "r.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_holds_no_records_is_refused(tmp_path):
    with pytest.raises(RecordError, match="run `dvc repro`"):
        read_records(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(RecordError, match="expected a Parquet file"):
        read_records(tmp_path / "text.parquet")
    to_frame(columns()).to_parquet(tmp_path / "bare.parquet", index=False)
    with pytest.raises(
        RecordError, match=r"expected records with the sha256 that is written with them, got [0-9a-f]{64}"
    ):
        read_records(tmp_path / "bare.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(RecordError, match=r"got \['a'\]"):
        read_records(tmp_path / "other.parquet")


def test_values_that_were_changed_after_they_were_written_are_refused(tmp_path):
    path = tmp_path / "r.parquet"
    write_records([to_frame(columns())], path)
    with pq.ParquetFile(path) as file:
        table, about = file.read(), file.metadata.metadata
    changed = table.to_pandas().assign(note="another")
    spoilt = pa.Table.from_pandas(changed, schema=SCHEMA, preserve_index=False)
    pq.write_table(spoilt.replace_schema_metadata({**(spoilt.schema.metadata or {}), **about}), path)
    with pytest.raises(
        RecordError, match="expected records with the sha256 [0-9a-f]{64}, got [0-9a-f]{64}: the file was changed"
    ):
        read_records(path)


def test_the_order_of_frames_and_of_categories_is_the_values_alone(tmp_path):
    whole = pd.concat([to_frame(columns()).astype({"note": object}) for _ in range(2)], ignore_index=True)
    texts = whole.assign(note=pd.Categorical(["b", "a", "c"] * 2, categories=["c", "b", "a"]))
    write_records([texts], tmp_path / "one.parquet")
    write_records([texts[:2], texts[2:]], tmp_path / "two.parquet")
    one, two = (read_records(tmp_path / f"{name}.parquet") for name in ("one", "two"))
    assert one["note"].tolist() == two["note"].tolist() == ["b", "a", "c"] * 2


def outcome(path):
    """The records of a file as text; None where they are refused."""
    try:
        return read_records(path).to_csv()
    except RecordError:
        return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bit_changes_records(tmp_path):
    path, generator = tmp_path / "r.parquet", random.Random(0)
    frames = [to_frame(columns(index=np.arange(3, dtype=np.int32) + 3 * i)) for i in range(40)]
    write_records([pd.concat(frames[:30], ignore_index=True).astype(frames[0].dtypes), *frames[30:]], path)
    content, expected = path.read_bytes(), outcome(path)
    n_refused = 0
    for _ in range(1000):
        spoilt = bytearray(content)
        spoilt[generator.randrange(len(spoilt))] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(spoilt))
        found = outcome(path)
        assert found in (None, expected)
        n_refused += found is None
    assert n_refused > 300
