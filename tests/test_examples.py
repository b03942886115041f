"""Training images with the nearest image that fools a classifier: 1NN by proof, networks by attack, and their file."""

import re
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from nnrobust.attacks.attack import adversarial_images, attack
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, of_network
from nnrobust.data.datasets import Split
from nnrobust.errors import DataError
from nnrobust.examples import Examples, changes_table, class_ids_of, first_in_turn, load_each
from nnrobust.experiments.illustrate import fool_nearest_neighbor, fool_network
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.runtime.seals import save_arrays
from nnrobust.threat import ThreatModel

CPU = torch.device("cpu")
PAIR = np.array([0, 2])
ATTACKS = [AttackSpec("apgd-ce", 20, 1, seed=0), AttackSpec("fmn", 60, 1, seed=0)]


def distances(examples):
    """The l2 distances (n,) of the stored images from what fools on them, in float64."""
    change = (examples.adversarial - examples.images.astype(np.float64) / 255).reshape(len(examples.images), -1)
    return np.sqrt((change**2).sum(axis=1))


# 1NN


def plane(points, labels):
    """Images of two pixels, one for each point."""
    images = np.array(points, dtype=np.uint8).reshape(-1, 1, 1, 2)
    return Split(images, np.array(labels), [str(i) for i in range(len(labels))])


def test_in_the_plane_1nn_is_fooled_at_a_radius_computed_by_hand():
    # Of class 0: (0, 0) and (20, 5); of class 1: (40, 0). (40, 0) is nearer than (20, 5) where 20 x - 5 y >= 587.5. In the box,
    # y >= 0, that is nearest to (0, 0) at (29.375, 0); without it at (27.65, -6.91). Class 2, right beside, is not of the problem.
    train = plane([(0, 0), (20, 5), (40, 0), (1, 0)], [0, 0, 1, 2])
    examples = fool_nearest_neighbor(train, np.array([0, 1]), np.array([0, 2]))
    assert examples.is_found.tolist() == [True, True]
    np.testing.assert_allclose(examples.norms * 255, [29.375, np.sqrt(425) / 2], rtol=1e-6)
    np.testing.assert_allclose(examples.adversarial[:, 0, 0] * 255, [[29.375, 0], [30, 2.5]], atol=1e-4)
    assert (examples.labels.tolist(), examples.predictions.tolist()) == ([0, 1], [0, 1])
    assert examples.indices.tolist() == [0, 2]


def test_a_wrong_image_has_none_as_it_fools_by_itself():
    train = plane([(0, 0), (20, 5), (0, 0)], [0, 1, 1])
    examples = fool_nearest_neighbor(train, np.array([0, 1]), np.array([1, 2]))
    assert examples.predictions.tolist() == [1, 0]
    assert examples.is_found.tolist() == [True, False]
    assert examples.norms[1] == 0
    assert (examples.adversarial[1] == examples.images[1] / 255).all()


@pytest.fixture
def nearest(dataset):
    """1NN on two of three classes, and its examples on four images of each."""
    indices = first_in_turn(dataset.train.labels, PAIR, 8)
    rows = np.isin(dataset.train.labels, PAIR)
    model = OneNearestNeighbor().fit(dataset.train.images[rows], dataset.train.labels[rows])
    return fool_nearest_neighbor(dataset.train, PAIR, indices), model, dataset.train.take(np.flatnonzero(rows))


def test_what_fools_1nn_is_as_far_as_said_in_the_box_and_fools_a_hair_beyond(nearest):
    examples, model, train = nearest
    assert examples.is_found.all()
    assert set(examples.labels) == set(PAIR)
    np.testing.assert_allclose(distances(examples), examples.norms, rtol=1e-9)
    assert examples.adversarial.min() >= 0
    assert examples.adversarial.max() <= 1
    stored = examples.images.reshape(8, -1).astype(np.float64)
    witness = 255 * examples.adversarial.reshape(8, -1)
    references = train.images.reshape(len(train.labels), -1).astype(np.float64)
    for start, end, label in zip(stored, witness, examples.labels, strict=True):
        rivals = references[train.labels != label]
        winner = rivals[((rivals - end) ** 2).sum(axis=1).argmin()]
        beyond, before = end + 1e-6 * (winner - end), start + (1 - 1e-6) * (end - start)
        assert (model.predict(np.stack([beyond, before])) == label).tolist() == [False, True]


def test_no_attack_on_1nn_as_a_module_finds_a_nearer_image(nearest):
    examples, model, _ = nearest
    targets = np.searchsorted(model.classes_, examples.labels)
    inputs = AttackInputs(examples.images, targets, np.zeros(8, dtype=np.int64), examples.indices)
    victim = of_network(model.as_module(scale=255).float())
    attacked = fool_network(victim, inputs, PAIR, 8.0, ATTACKS, CPU)
    assert attacked.is_found.all()
    ratio = attacked.norms / examples.norms
    assert (ratio >= 1 - 1e-6).all()
    assert ratio.min() < 1.01  # the attack is no straw man


# Networks


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 2)).eval()


@pytest.fixture
def inputs(dataset, network):
    """Eight images with the network's own answers as targets, the first one's turned to the other."""
    images = dataset.train.images[::8]
    with torch.no_grad():
        targets = network(torch.from_numpy(images).float() / 255).argmax(dim=1).numpy()
    targets[0] = 1 - targets[0]
    return AttackInputs(images, targets, np.zeros(8, dtype=np.int64), np.arange(0, 64, 8))


def test_what_fools_a_network_fools_it_again_from_the_file_and_is_as_far_as_said(network, inputs, tmp_path):
    found = fool_network(of_network(network), inputs, PAIR, 0.5, ATTACKS, CPU)
    found.save(tmp_path / "S.npz")
    stored = Examples.load(tmp_path / "S.npz")
    assert stored.is_found.tolist() == [False] + [True] * 7
    assert stored.norms.dtype == np.float64
    np.testing.assert_array_equal(stored.norms, distances(stored))
    assert (stored.norms > 0.5).any()
    assert (stored.norms[1:] < 0.5).any()
    with torch.no_grad():
        before = network(torch.from_numpy(stored.images).float() / 255).argmax(dim=1).numpy()
        after = network(torch.from_numpy(stored.adversarial).float()).argmax(dim=1).numpy()
    assert (after == 1 - before).tolist() == stored.is_found.tolist()
    assert stored.predictions.tolist() == PAIR[before].tolist()
    assert stored.labels.tolist() == PAIR[inputs.targets].tolist()
    assert stored.predictions[0] != stored.labels[0]


def test_the_images_are_those_of_the_verdicts(network, inputs):
    threat = ThreatModel("L2", 0.5)
    verdicts, images = adversarial_images(of_network(network), inputs, threat, ATTACKS, CPU)
    same = attack(of_network(network), inputs, [threat], ATTACKS, CPU)["L2"]
    for field in fields(verdicts):
        np.testing.assert_array_equal(getattr(verdicts, field.name), getattr(same, field.name))
    stored = inputs.images / 255
    norms = np.linalg.norm((images - stored).reshape(8, -1), axis=1)
    np.testing.assert_array_equal(norms, verdicts.perturbation_norm)
    assert ((images >= 0) & (images <= 1)).all()
    # A minimum-norm attack's image may lie beyond epsilon, and is no fall.
    assert (verdicts.is_fooled[1:] == (norms[1:] <= 0.5)).all()


def test_the_nearest_counts_whichever_attack_found_it(network, inputs):
    threat, hasty = ThreatModel("L2", 0.5), [ATTACKS[0], AttackSpec("fmn", 2, 1, seed=0)]
    alone = [adversarial_images(of_network(network), inputs, threat, [one], CPU)[0].perturbation_norm for one in hasty]
    assert (alone[0] < alone[1]).sum() == 1  # fmn in two steps is farther than where APGD stops
    assert (np.isnan(alone[0]) & ~np.isnan(alone[1])).sum() > 1
    verdicts, images = adversarial_images(of_network(network), inputs, threat, hasty, CPU)
    np.testing.assert_array_equal(verdicts.perturbation_norm, np.fmin(*alone))
    norms = np.linalg.norm((images - inputs.images / 255).reshape(8, -1), axis=1)
    np.testing.assert_array_equal(norms, np.nan_to_num(np.fmin(*alone)))


def test_where_no_attack_finds_anything_the_image_itself_comes_back(network, inputs):
    verdicts, images = adversarial_images(of_network(network), inputs, ThreatModel("L2", 1e-6), ATTACKS[:1], CPU)
    assert np.isnan(verdicts.perturbation_norm[1:]).all()
    np.testing.assert_array_equal(images, inputs.images / 255)
    found = fool_network(of_network(network), inputs, PAIR, 1e-6, ATTACKS[:1], CPU)
    assert not found.is_found.any()
    assert not found.norms.any()


# The file


def toy(is_found=(True, True, False)):
    """Three images of four pixels, changed in all, in one and in none of them."""
    images = np.zeros((3, 1, 2, 2), np.uint8)
    adversarial = np.array([[0.05, 0.05, 0.2, 0.05], [0, 0, 0, 0.1], [0, 0, 0, 0]]).reshape(3, 1, 2, 2)
    norms = np.linalg.norm(adversarial.reshape(3, -1), axis=1)
    labels, predictions = np.array([3, 5, 3]), np.array([3, 5, 5])
    return Examples(images, adversarial, np.array(is_found), np.array([7, 8, 9]), labels, predictions, norms)


def test_examples_come_back_as_they_were_saved(tmp_path):
    toy().save(tmp_path / "deep" / "1NN.npz")
    read = Examples.load(tmp_path / "deep" / "1NN.npz")
    for field in fields(Examples):
        one, other = getattr(read, field.name), getattr(toy(), field.name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["1NN.npz"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"no archive",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-5],
        lambda whole: whole[:200] + bytes([whole[200] ^ 255]) + whole[201:],
    ],
    ids=["empty", "text", "half", "cut", "flipped"],
)
def test_a_damaged_file_is_an_error_that_names_it_and_says_what_to_run(tmp_path, damage):
    rng = np.random.default_rng(0)
    whole = toy()
    noisy = Examples(rng.integers(0, 9, (3, 1, 9, 9), np.uint8), *(getattr(whole, f.name) for f in fields(whole)[1:]))
    noisy.save(tmp_path / "T_R.npz")
    (tmp_path / "T_R.npz").write_bytes(damage((tmp_path / "T_R.npz").read_bytes()))
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "T_R.npz")) + ".*run `dvc repro examples`"):
        Examples.load(tmp_path / "T_R.npz")


def test_a_missing_file_or_array_is_the_same_error(tmp_path):
    with pytest.raises(DataError, match="No such file.*run `dvc repro examples`"):
        Examples.load(tmp_path / "none.npz")
    save_arrays(tmp_path / "part.npz", {"images": np.zeros(3)})
    with pytest.raises(DataError, match="adversarial.*run `dvc repro examples`"):
        Examples.load(tmp_path / "part.npz")


# Which images, and what changes


def test_images_are_the_first_of_each_class_in_turn():
    labels = np.array([1, 1, 0, 2, 1, 0])
    assert first_in_turn(labels, np.array([0, 1]), 4).tolist() == [2, 0, 5, 1]
    assert first_in_turn(labels, np.array([0, 1]), 5).tolist() == [2, 0, 5, 1, 4]
    assert first_in_turn(labels, np.array([0, 1, 2]), 3).tolist() == [2, 0, 3]


def test_more_images_than_there_are_is_an_error():
    with pytest.raises(DataError, match="examples.n_images: expected at most the 5 training images .* got 6"):
        first_in_turn(np.array([1, 1, 0, 2, 1, 0]), np.array([0, 1]), 6)


def test_classes_are_ascending_ids_whichever_is_named_first():
    assert class_ids_of(["dog", "ant"], ["ant", "cat", "dog"]).tolist() == [0, 2]
    assert class_ids_of("all", ["ant", "cat", "dog"]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("problem", [["ant", "cow"], ["ant", "ant"]])
def test_an_unknown_class_or_one_named_twice_is_an_error(problem):
    with pytest.raises(DataError, match=r"examples.problem: .* different classes of \['ant', 'cat'\], got \['ant'"):
        class_ids_of(problem, ["ant", "cat"])


def test_the_changes_are_shares_counted_by_hand():
    # Of four values: three change by less than 0.1 and one by more; three not at all and one by 0.1 itself.
    table = changes_table(toy(), "1NN", {"Linf": 0.1, "L2": 0.2})
    assert table["classifier"].tolist() == ["1NN"] * 3
    assert table[["index", "label"]].values.tolist() == [[7, 3], [8, 5], [9, 3]]
    assert table["norm"].tolist()[:2] == [round(np.sqrt(3 * 0.05**2 + 0.2**2), 6), 0.1]
    assert table["largest_change"].tolist()[:2] == [0.2, 0.1]
    assert table["ssim"].tolist()[:2] == toy().ssim().round(6).tolist()[:2]
    assert table["share_below"].tolist()[:2] == [0.75, 0.75]
    assert table["share_above"].tolist()[:2] == [0.25, 0.0]
    assert table["is_inside"].tolist() == [False, True, False]
    assert changes_table(toy(), "1NN", {"Linf": 0.1, "L2": 0.1})["is_inside"].tolist() == [False, True, False]


def test_where_none_was_found_nothing_is_said_to_change():
    table = changes_table(toy(), "1NN", {"Linf": 0.1, "L2": 0.2})
    assert table["is_found"].tolist() == [True, True, False]
    assert table.loc[2, ["norm", "largest_change", "ssim", "share_below", "share_above"]].isna().all()


def pictures(images, adversarial):
    """Examples of uint8 images, and what they become, in pixel units."""
    n = len(images)
    return Examples(
        images, adversarial, np.ones(n, bool), np.arange(n), np.zeros(n, int), np.zeros(n, int), np.zeros(n)
    )


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 2, 2), (3, 5, 1)])
def test_equal_images_have_structural_similarity_1_and_others_less_whatever_their_size(shape):
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    adversarial = images / 255
    adversarial[1] = 1 - adversarial[1]
    same, other = pictures(images, adversarial).ssim()
    assert same == 1
    assert -1 <= other < 0.9


def test_structural_similarity_of_one_window_is_the_published_formula():
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 7, 7), dtype=np.uint8)
    adversarial = images / 255 * 0.8 + 0.1 * np.random.default_rng(1).random(images.shape)
    expected = []
    for one, other in zip(images[0] / 255, adversarial[0], strict=True):
        (own, both), (_, others) = np.cov(one.ravel(), other.ravel(), bias=True)
        means = 2 * one.mean() * other.mean() + 0.01**2, one.mean() ** 2 + other.mean() ** 2 + 0.01**2
        expected.append(means[0] * (2 * both + 0.03**2) / (means[1] * (own + others + 0.03**2)))
    assert pictures(images, adversarial).ssim()[0] == pytest.approx(np.mean(expected), abs=1e-9)


def test_the_same_norm_is_less_similar_on_a_flat_image_than_on_a_busy_one():
    images = np.stack([np.full((1, 8, 8), 128), np.indices((8, 8)).sum(axis=0)[None] % 2 * 255]).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.05, (1, 8, 8))
    flat, busy = pictures(images, images / 255 + noise).ssim()
    assert flat < 0.5 < 0.9 < busy


def test_examples_of_a_classifier_whose_stage_failed_are_left_out(tmp_path):
    few = Examples(*(np.zeros((1, 1, 2, 2)) for _ in range(2)), *(np.zeros(1) for _ in range(5)))
    few.save(tmp_path / "1NN.npz")
    assert list(load_each(tmp_path, ["1NN", "Zhang2019Theoretically"])) == ["1NN"]
