"""1NN certified class by class, in this process and in others."""

import numpy as np
import pytest

from nnrobust.config.classifiers import Mean
from nnrobust.data.datasets import SPLITS, AllClasses, Pair, save_dataset
from nnrobust.experiments.growth import Growth, growth_table
from nnrobust.nearest.dataset.by_class import Work, certified
from nnrobust.nearest.dataset.certificate import certify
from nnrobust.nearest.dataset.neighbors import build_indexes, save_indexes
from nnrobust.nearest.dataset.shards import APART, LEAST, TOGETHER, groups_of
from nnrobust.nearest.distances.screening import Effort
from nnrobust.runtime.machine import Local
from nnrobust.runtime.processes import Processes
from nnrobust.runtime.store import NoStore
from nnrobust.simple import problem
from nnrobust.threat import ThreatModel

THREATS = [ThreatModel("Linf", 0.05), ThreatModel("L2", 0.4)]
EFFORT = Effort(4, 8, 16)
PAIRS = [Pair(0, 1), Pair(0, 2), Pair(1, 2)]


@pytest.fixture
def work(dataset, tmp_path):
    """That of the dataset, prepared and indexed in a folder: radii of test images, verdicts of training images."""
    data, indexes = tmp_path / "data", tmp_path / "index"
    for folder in (data, indexes):
        folder.mkdir()
    save_dataset(dataset, PAIRS, data)
    save_indexes(build_indexes(dataset.train, 3), indexes)
    settled = Effort(4, 8, 16, {threat.norm: threat.epsilon for threat in THREATS})
    return Work(data, indexes, "cpu", {"test": EFFORT, "train": settled})


def assert_equal(one, other):
    for name in ("own", "other"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("half_gap", "bisector", "lower", "upper"):
        for key, values in getattr(one, name).items():
            np.testing.assert_array_equal(values, getattr(other, name)[key])


def test_class_by_class_come_the_bounds_of_all_images_at_once(dataset, work):
    labels, told = {split: getattr(dataset, split).labels for split in SPLITS}, []
    found = certified(work, labels, Local(), lambda items, _: told.append(len(items)) or items)
    assert told == [2 * 3]
    for split in SPLITS:
        part = getattr(dataset, split)
        whole = certify(part.images, part.labels, build_indexes(dataset.train, 3), work.efforts[split])
        assert_equal(found[split], whole)
        assert np.isfinite(whole.other).sum() == 2 * len(part.labels)


# Of three classes of 20 references: all others together, class by class, and classes in parts of 7, and of 1, where the last of
# one class stands with the first of the next.
@pytest.mark.parametrize(
    ("block", "together", "apart", "n_parts"),
    [(4, 2**25, 2**27, 8 * 3), (1000, 400, 400, 2 * 3 * 2), (4, 400, 400, 8 * 3 * 2), (4, 400, 150, 8 * 3 * 2 * 3),
     pytest.param(1000, 2**25, 20, 2 * 3 * 39, marks=pytest.mark.slow)],
)  # fmt: skip
def test_blocks_of_images_and_shards_of_references_give_the_same_bounds(
    dataset, work, monkeypatch, block, together, apart, n_parts
):
    labels, told = {split: getattr(dataset, split).labels for split in SPLITS}, []
    whole = certified(work, labels, Local())
    monkeypatch.setattr("nnrobust.nearest.dataset.by_class.BLOCK", block)
    for name, value in (("TOGETHER", together), ("APART", apart), ("LEAST", 1)):
        monkeypatch.setattr(f"nnrobust.nearest.dataset.shards.{name}", value)
    found = certified(work, labels, Local(), lambda items, _: told.append(len(items)) or items)
    assert told == [n_parts]
    for split in SPLITS:
        for name in ("own", "other"):
            np.testing.assert_array_equal(getattr(found[split], name), getattr(whole[split], name))
        for name in ("half_gap", "bisector", "lower", "upper"):
            for key, values in getattr(found[split], name).items():
                np.testing.assert_allclose(values, getattr(whole[split], name)[key], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sizes", [[5000] * 10, [3, 10_000_000, 1, 40_000, 30_000], [1_000_000] * 10, [2, 2]])
def test_shards_are_all_other_references_once(sizes):
    for label, own in enumerate(sizes):
        groups = groups_of(sizes, label)
        for group in groups:
            class_ids = [shard.class_id for shard in group]
            assert len(set(class_ids)) == len(class_ids)
            most = TOGETHER if len(group) > 1 else max(APART, LEAST * own)
            assert sum(shard.stop - shard.start for shard in group) * own <= most
        for class_id, size in enumerate(sizes):
            ends = sorted((one.start, one.stop) for group in groups for one in group if one.class_id == class_id)
            assert all(start < stop for start, stop in ends)
            met = [0, *(place for part in ends for place in part), size]
            assert ends == [] if class_id == label else met[::2] == met[1::2]


@pytest.mark.slow
def test_processes_certify_fit_and_grow_what_this_process_does(dataset, work):
    labels = {split: getattr(dataset, split).labels for split in SPLITS}
    one, other = (certified(work, labels, engine) for engine in (Local(), Processes(2)))
    for split in SPLITS:
        assert_equal(one[split], other[split])

    options = Mean(kind="mean")
    fitting = problem.Work(work.folder, options, THREATS, NoStore())
    one, other = (dict(engine.map(fitting, [AllClasses(3), *PAIRS])) for engine in (Local(), Processes(2)))
    for number, found in one.items():
        for split in SPLITS:
            for norm, columns in found.columns[split].items():
                for name, values in columns.items():
                    np.testing.assert_array_equal(values, other[number].columns[split][norm][name])

    growth = Growth(1, [0], EFFORT, {"mean": options}, n_test_per_class=1)
    one, other = (growth_table(work.folder, THREATS, growth, engine) for engine in (Local(), Processes(2)))
    assert one.equals(other)
    assert one["fraction"].unique().tolist() == [0.5, 1.0]
