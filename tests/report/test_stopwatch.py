"""The times of table 1, from a run's stages and its networks."""

import json
from types import SimpleNamespace

import pytest

from made.training import recipe
from nnrobust.data.datasets import AllClasses, Pair, Prepared
from nnrobust.errors import DataError
from nnrobust.networks.architectures import builder
from nnrobust.networks.storage import save_networks
from nnrobust.report.stopwatch import TIMES, measured_times
from nnrobust.runtime.timing import ALONE, MANY, ROUNDS, TRAINING

PAIRS = [Pair(0, 1), Pair(0, 2)]


@pytest.fixture
def run(dataset, tmp_path):
    """Times of a run of two pairs: S and a network of all classes were trained here, T_R elsewhere, and on no pair with success."""
    prepared = Prepared(dataset, PAIRS, [0.4], [0.3])
    (tmp_path / "costs").mkdir()
    costs = {
        "train S": {"training_seconds": [3.0, 5.0], "device": "a GPU"},
        "train S_10": {"training_seconds": [9.0], "device": "a GPU"},
        "fit mean": {"training_seconds": [0.5, 0.5], "device": "CPU, 1 threads"},
        "train left_over": {"training_seconds": [1.0], "device": "a GPU"},
        "prepare": {},
    }
    for name, cost in costs.items():
        cost |= {"seconds": 20.0, "peak_memory_gb": 1.0}
        (tmp_path / "costs" / f"{name}.json").write_text(json.dumps(cost))
    problems = {"S": PAIRS, "S_10": [AllClasses(3)], "T_R": []}
    for name, mine in problems.items():
        states = {str(one): builder(prepared, recipe(), len(one.class_ids()))().state_dict() for one in mine}
        save_networks(
            {pair: {"last": state} for pair, state in states.items()}, tmp_path / "networks" / f"{name}.safetensors"
        )
    variant = SimpleNamespace(checkpoint="last", recipe=recipe)
    params = SimpleNamespace(
        compute=SimpleNamespace(device="cpu", batch_size=100),
        classifiers={"mean": None},
        variants=dict.fromkeys(problems, variant),
        made=["1NN", "mean", *problems],
    )
    return lambda: measured_times(params, prepared, tmp_path / "costs", tmp_path / "networks")


def test_each_measurement_is_a_row_of_training_and_of_inference(run):
    table = run()
    assert table.columns.tolist() == TIMES
    counted = table.groupby(["classifier", "quantity"], sort=False).size().to_dict()
    every = {(name, quantity): ROUNDS for name in ("1NN", "S", "S_10") for quantity in (ALONE, MANY)}
    # Equal seconds are those of pairs trained side by side; T_R came from a cache, without a network.
    assert counted == every | {
        ("1NN", TRAINING): ROUNDS,
        ("mean", TRAINING): 1,
        ("S", TRAINING): 2,
        ("S_10", TRAINING): 1,
    }
    assert table["classifier"].drop_duplicates().tolist() == ["1NN", "mean", "S", "S_10"]
    assert (table["seconds"] > 0).all()
    trained = table[table["quantity"] == TRAINING].groupby("classifier")
    assert trained["seconds"].agg(list)["S"] == [3.0, 5.0]
    assert trained["device"].first().to_dict() == {
        "1NN": table["device"][0], "S": "a GPU", "S_10": "a GPU", "mean": "CPU, 1 threads",
    }  # fmt: skip
    assert table.loc[table["quantity"] != TRAINING, "device"].str.startswith("CPU, ").all()


def test_inference_is_in_seconds_an_image(run, monkeypatch):
    def counted(work):
        return {key: [10.0] for key in work}

    monkeypatch.setattr("nnrobust.report.stopwatch.interleaved", counted)
    table = run().set_index(["classifier", "quantity"])["seconds"]
    assert table["1NN", TRAINING] == 10.0
    assert table["S", ALONE] == table["S", MANY] == 10.0 / 20  # the pair has 20 test images, fewer than 32 and than 512
    assert table["1NN", MANY] == 10.0 / 20


def test_networks_that_are_not_there_are_no_times(run, tmp_path):
    (tmp_path / "networks" / "S.safetensors").unlink()
    with pytest.raises(DataError, match=r"S\.safetensors: expected trained networks"):
        run()
