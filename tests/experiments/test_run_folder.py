"""Records that a campaign left, taken over into another run."""

import json

import numpy as np
import pytest

from made.records import columns
from nnrobust.data.datasets import Dataset, Split
from nnrobust.errors import RecordError
from nnrobust.experiments.run_folder import data_hash, imported_records
from nnrobust.records import to_frame, write_records

EPSILON = {"Linf": 0.1, "L2": 0.5}


@pytest.fixture
def dataset():
    split = Split(np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2), np.array([0, 1, 0]), ["x", "y", "z"])
    return Dataset("here", ["a", "b"], split, split)


@pytest.fixture
def folder(tmp_path, dataset):
    call = {"dataset": "there", "data_sha256": data_hash(dataset), "settings": {}, "code": "c", "recipes": {"S": {}}}
    (tmp_path / "provenance.json").write_text(json.dumps({"calls": [call]}))
    frames = [to_frame(columns(norm=norm, epsilon=size)) for norm, size in EPSILON.items()]
    write_records(frames, tmp_path / "S.parquet")
    return tmp_path


def test_the_records_of_a_campaign_on_the_same_images_are_taken_over_under_the_name_of_the_run(folder, dataset):
    found = imported_records(folder, "S", dataset, EPSILON)
    assert len(found) == 6
    assert set(found["dataset"]) == {"here"}
    assert set(found["kind"]) == {"attacked"}


def test_a_network_may_get_another_name_than_it_has_in_its_campaign(folder, dataset):
    found = imported_records(folder / "S.parquet", "cnn_S", dataset, EPSILON)
    assert (len(found), set(found["classifier"])) == (6, {"cnn_S"})
    with pytest.raises(RecordError, match=r"expected the folder of a campaign with T\.parquet, got networks: S"):
        imported_records(folder / "T.parquet", "cnn_S", dataset, EPSILON)


@pytest.mark.parametrize(
    ("name", "epsilon", "message"),
    [
        ("T_R", EPSILON, r"expected the folder of a campaign with T_R\.parquet, got networks: S; name one of them"),
        ("S", {"Linf": 0.1, "L2": 0.6}, r"S\.parquet: expected the epsilons of this run, .*0\.6.*, got .*0\.5"),
    ],
)
def test_what_is_not_there_or_was_measured_otherwise_is_refused(folder, dataset, name, epsilon, message):
    with pytest.raises(RecordError, match=message):
        imported_records(folder, name, dataset, epsilon)


def test_other_images_are_refused(folder, dataset):
    other = Dataset(
        dataset.name,
        dataset.classes,
        dataset.train,
        Split(dataset.test.images + 1, dataset.test.labels, dataset.test.names),
    )
    with pytest.raises(RecordError, match="expected a campaign on the images of this run, of sha256"):
        imported_records(folder, "S", other, EPSILON)


def test_a_folder_without_a_campaign_is_refused(tmp_path, dataset):
    with pytest.raises(RecordError, match="expected the folder of a campaign"):
        imported_records(tmp_path / "none", "S", dataset, EPSILON)


def prove(folder, *problems, radius_lower=0.0):
    """As scripts/prove.py leaves the folder after it proved these problems."""
    path = folder / "provenance.json"
    note = {"variant": "S", "problems": list(problems)}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"proofs": [note]}))
    pairs = [
        to_frame(columns(pair=pair, norm=norm, epsilon=size, radius_lower=lower))
        for norm, size in EPSILON.items()
        for pair, lower in (("0-1", 0.0), ("0-2", radius_lower))
    ]
    write_records(pairs, folder / "S.parquet")


def test_a_network_that_is_proven_on_some_of_its_problems_is_refused(folder, dataset):
    prove(folder, "0-1")
    with pytest.raises(
        RecordError, match=r"expected proofs of S on all its problems or on none, got none on 0-2; .*prove"
    ):
        imported_records(folder / "S.parquet", "cnn_S", dataset, EPSILON)


@pytest.mark.parametrize(("problems", "radius_lower"), [(["0-1", "0-2"], 0.0), (["0-1"], 0.6)])
def test_one_that_is_proven_on_all_is_taken_over_whoever_proved_it(folder, dataset, problems, radius_lower):
    prove(folder, *problems, radius_lower=radius_lower)
    assert len(imported_records(folder, "S", dataset, EPSILON)) == 12
