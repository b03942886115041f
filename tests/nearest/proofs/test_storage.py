"""Radii with their proofs in a file: read by another process, by whoever has the references, and refused where anything was changed."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

import nnrobust
from nnrobust import OneNearestNeighbor, RobustLinearClassifier
from nnrobust.cli import main
from nnrobust.errors import DataError, DataWarning
from nnrobust.linear.radius import linear_radius
from nnrobust.nearest.proofs.verification import load


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (60, 1, 3, 3)).astype(np.uint8), np.array(["cat", "dog", "eel"])[
        np.arange(60) % 3
    ]


@pytest.mark.parametrize("norm", ["L2", "Linf", "L1"])
@pytest.mark.parametrize("box", [None, (0, 255), (0, np.inf)])
def test_a_file_has_the_result_and_is_checked_from_the_references_alone(tmp_path, data, norm, box):
    images, y = data
    result = OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10], norm=norm, box=box)
    result.save(tmp_path / "proofs")
    again = load(tmp_path / "proofs", (images[10:].astype(np.float64), y[10:].tolist()))
    for name in ("lower", "upper", "status", "x_adv", "queries"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    assert [one.label for one in again.certificate] == [one.label for one in result.certificate]
    assert nnrobust.verify(tmp_path / "proofs", (images[10:], y[10:])).tolist() == [True] * 10


def test_it_is_checked_in_another_process(tmp_path, data):
    images, y = data
    OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10]).save(tmp_path / "proofs.npz")
    np.savez(tmp_path / "references.npz", X=images[10:], y=y[10:])
    command = [sys.executable, "-m", "nnrobust.cli", "verify", "proofs.npz", "--references", "references.npz"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "10 of 10 radii hold\n"


def test_the_command_says_that_other_references_were_given(tmp_path, data, capsys, monkeypatch):
    images, y = data
    monkeypatch.chdir(tmp_path)
    OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10]).save("proofs.npz")
    np.savez("others.npz", images=images[9:-1], labels=y[9:-1])
    assert main(["verify", "proofs.npz", "--references", "others.npz"]) == 1
    printed = capsys.readouterr()
    assert "0 of 10 radii hold; not that of query 0" in printed.out
    assert "expected references and labels with the digest" in printed.err


@pytest.mark.parametrize("change", ["order", "label", "value", "fewer"])
def test_other_references_or_labels_prove_nothing(tmp_path, data, change):
    images, y = data
    OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10]).save(tmp_path / "proofs")
    points, labels = images[10:].copy(), y[10:].copy()
    if change == "order":
        points, labels = points[::-1], labels[::-1]
    elif change == "label":
        labels[0] = "eel" if labels[0] != "eel" else "cat"
    elif change == "value":
        points[0, 0, 0, 0] ^= 1
    else:
        points, labels = points[:-1], labels[:-1]
    with pytest.warns(DataWarning, match="expected references and labels with the digest"):
        assert not nnrobust.verify(tmp_path / "proofs", (points, labels)).any()


def test_a_metric_goes_along(tmp_path, data):
    images, y = data
    metric = np.random.default_rng(1).standard_normal((4, 9))
    model = OneNearestNeighbor(metric=metric).fit(images[10:], y[10:])
    model.robust_radius(images[:10]).save(tmp_path / "proofs")
    assert nnrobust.verify(tmp_path / "proofs", (images[10:], y[10:])).all()
    assert nnrobust.verify(tmp_path / "proofs", model).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_linear_classifiers_are_checked_from_weights_and_intercepts(tmp_path, n_classes, capsys):
    points, y = make_blobs(80, n_features=5, centers=n_classes, random_state=0)
    robust, plain = RobustLinearClassifier().fit(points, y), LogisticRegression().fit(points, y)
    for model, result in (
        (robust, robust.robust_radius(points[:9], norm="Linf")),
        (plain, linear_radius(plain, points[:9])),
    ):
        result.save(tmp_path / "proofs")
        assert nnrobust.verify(tmp_path / "proofs", model).all()
        assert nnrobust.verify(tmp_path / "proofs", (model.coef_, model.intercept_)).all()
        with pytest.warns(DataWarning, match="expected references and labels with the digest"):
            assert not nnrobust.verify(tmp_path / "proofs", (model.coef_ * 1.01, model.intercept_)).any()
        np.savez(tmp_path / "weights.npz", coef=model.coef_, intercept=model.intercept_)
        assert main(["verify", str(tmp_path / "proofs"), "--references", str(tmp_path / "weights.npz")]) == 0
        assert capsys.readouterr().out == "9 of 9 radii hold\n"


def changed(path, **changes):
    """The file with some of its arrays replaced."""
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, **{name: change(arrays[name]) for name, change in changes.items()}})


@pytest.mark.parametrize("changes", [
    {"lower": lambda a: a * 1.01}, {"upper": lambda a: a * 0.99}, {"lower": lambda a: a * np.nan}, {"query": lambda a: a[::-1]},
    {"x_adv": lambda a: a[::-1]}, {"label": lambda a: np.roll(a, 1)}, {"weights": lambda a: a * 1e-200}, {"weights": lambda a: -a},
    {"own": lambda a: a[::-1]}, {"own": lambda a: a + 1000},
])  # fmt: skip
def test_a_changed_file_proves_nothing_of_what_was_changed(tmp_path, data, changes):
    images, y = data
    path = tmp_path / "proofs.npz"
    OneNearestNeighbor(n_own=3).fit(images[10:], y[10:]).robust_radius(images[:10]).save(path)
    changed(path, **changes)
    assert not nnrobust.verify(path, (images[10:], y[10:])).all()


def test_a_damaged_file_is_one_sentence(tmp_path, data):
    images, y = data
    path = tmp_path / "proofs.npz"
    OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10]).save(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for trial in range(200):
        spoilt = bytearray(whole)
        if trial % 4 == 0:
            spoilt = spoilt[: generator.integers(len(whole))]
        else:
            spoilt[generator.integers(len(whole))] ^= 1 << generator.integers(8)
        path.write_bytes(spoilt)
        message = str(path)
        try:
            # What a flipped bit of a zip's own tables leaves readable has all arrays unchanged, as their checksums say.
            assert nnrobust.verify(path, (images[10:], y[10:])).all()
        except DataError as error:
            message = str(error)
        assert str(path) in message
    for content in (b"", b"no file", np.random.default_rng(0).bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected a file of RobustRadius.save"):
            load(path, (images[10:], y[10:]))
    np.savez(path, X=images)
    with pytest.raises(DataError, match="expected a file of RobustRadius.save"):
        load(path, (images[10:], y[10:]))
    with pytest.raises(DataError, match="expected a file of RobustRadius.save"):
        load(tmp_path / "none.npz", (images[10:], y[10:]))


@pytest.mark.parametrize("kept", ["lower", "own", "n_own", "weights", "label", "n_rivals", "query", "dtype"])
def test_arrays_that_do_not_fit_together_are_one_sentence(tmp_path, data, kept):
    images, y = data
    path = tmp_path / "proofs.npz"
    OneNearestNeighbor(n_own=3).fit(images[10:], y[10:]).robust_radius(images[:10]).save(path)
    changed(path, **{kept: lambda a: np.array("x" if a.ndim == 0 else 0)})
    with pytest.raises(
        DataError, match="expected a file of RobustRadius.save, got one whose arrays do not fit together"
    ):
        load(path, (images[10:], y[10:]))


def test_a_file_never_holds_objects_and_no_part_of_one_is_left(tmp_path, data):
    images, y = data
    result = OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10])
    result.save(tmp_path / "proofs.npz")
    with np.load(tmp_path / "proofs.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind != "O" for name in stored.files)
    assert not any(name.endswith(".pkl") for name in zipfile.ZipFile(tmp_path / "proofs.npz").namelist())
    assert [path.name for path in tmp_path.iterdir()] == ["proofs.npz"]


@pytest.mark.parametrize("references", ["X alone", "a text", "of another shape", "of other labels"])
def test_references_that_cannot_be_meant_are_named(tmp_path, data, references):
    images, y = data
    OneNearestNeighbor().fit(images[10:], y[10:]).robust_radius(images[:10]).save(tmp_path / "proofs")
    given = {
        "X alone": images,
        "a text": "references",
        "of another shape": (images[:, :, :2], y),
        "of other labels": (images, y[:3]),
    }
    with pytest.raises(DataError, match="references: expected a pair"):
        nnrobust.verify(tmp_path / "proofs", given[references])
