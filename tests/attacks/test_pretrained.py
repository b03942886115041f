"""A network of others under attack: on all classes, and on pairs by its two logits."""

import numpy as np
import pandas as pd
import pytest
import torch

from made.pretrained import block, network
from nnrobust.attacks.pretrained import Effort, ModelFile, PretrainedSource, is_correct, on_all_classes, on_pairs
from nnrobust.attacks.victim import AttackSpec
from nnrobust.data.datasets import Dataset, Pair, Prepared, Split
from nnrobust.errors import AttackError, FetchError
from nnrobust.models.load import load_block
from nnrobust.records import check_records
from nnrobust.runtime.machine import Machine
from nnrobust.threat import ThreatModel

CLASSES = ["dog", "cat", "frog"]
MACHINE = Machine(torch.device("cpu"), 1, 4)
EFFORT = Effort(
    [AttackSpec("apgd-ce", 3, 1, 0), AttackSpec("fmn", 3, 1, 0)],
    [ThreatModel("Linf", 0.02), ThreatModel("L2", 0.3)],
    {"train": 3, "test": 6},
)


@pytest.fixture
def source(tmp_path):
    """The network of `block`, whose classes the dataset has in another order."""
    torch.save(network().state_dict(), tmp_path / "mine.pt")
    return PretrainedSource(ModelFile(block(), tmp_path, tuple(CLASSES)))


def prepared(shape=(3, 8, 8)):
    generator = np.random.default_rng(0)
    parts = [
        Split(generator.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % 3, [str(i) for i in range(n)])
        for n in (6, 9)
    ]
    return Prepared(Dataset("made", CLASSES, *parts), [Pair(0, 1), Pair(1, 2)], [0.5] * 3, [0.2] * 3)


def logits_of(source, images):
    model = load_block(source.files.model, source.files.folder, CLASSES)
    with torch.no_grad():
        return model(torch.from_numpy(np.array(images)).float() / 255).numpy()


def test_clean_answers_are_the_networks_in_the_order_of_the_datasets_classes(source):
    test = prepared().dataset.test
    assert (
        is_correct(source, prepared(), MACHINE).tolist()
        == (logits_of(source, test.images).argmax(axis=1) == test.labels).tolist()
    )


def test_the_records_of_all_classes_have_the_networks_name_and_as_many_images_as_asked(source):
    records = pd.concat(on_all_classes(source, prepared(), "first_per_class", EFFORT, MACHINE))
    check_records(records, "here")
    assert set(records["classifier"]) == {"mine"}
    assert set(records["pair"]) == {"all"}
    assert records.groupby(["split", "norm"], observed=True).size().to_dict() == {
        (split, norm): n for split, n in EFFORT.n.items() for norm in ("L2", "Linf")
    }


def test_on_a_pair_the_larger_of_two_logits_decides_and_the_name_says_so(source):
    records = pd.concat(
        on_pairs(source, prepared(), Effort(EFFORT.attacks, EFFORT.threats, {"train": 1, "test": None}), MACHINE)
    )
    check_records(records, "here")
    assert set(records["classifier"]) == {"mine|pairs"}
    logits = logits_of(source, prepared().dataset.test.images)
    for pair in (Pair(0, 1), Pair(1, 2)):
        mine = records[(records["pair"] == str(pair)) & (records["split"] == "test") & (records["norm"] == "L2")]
        ids = pair.class_ids()
        assert mine["prediction"].tolist() == ids[logits[mine["index"]][:, ids].argmax(axis=1)].tolist()
        assert len(mine) == 6


def test_images_of_another_shape_are_refused(source):
    with pytest.raises(AttackError, match=r"mine: expected images \(3, 8, 8\), got \(3, 4, 4\); take it out of models"):
        is_correct(source, prepared((3, 4, 4)), MACHINE)


def test_a_network_that_cannot_be_loaded_stops_before_any_attack(source):
    (source.files.folder / "mine.pt").unlink()
    with pytest.raises(FetchError, match="mine: expected its file at"):
        next(on_all_classes(source, prepared(), "first", EFFORT, MACHINE))


def test_how_many_pairs_go_together_changes_no_verdict(source):
    effort = Effort(EFFORT.attacks, EFFORT.threats, {"train": None, "test": None})
    one, other = (
        pd.concat(on_pairs(source, prepared(), effort, Machine(torch.device("cpu"), 1, batch_size)))
        for batch_size in (3, 100)
    )
    pd.testing.assert_frame_equal(one, other, rtol=1e-4)
