"""Classifiers of every kind in one table."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from made.pretrained import SHAPE, block
from made.pretrained import network as small_network
from nnrobust import OneNearestNeighbor, RobustLinearClassifier, evaluate
from nnrobust.attacks.victim import AttackSpec
from nnrobust.errors import AttackError, DataError
from nnrobust.evaluation.classifiers import COLUMNS
from nnrobust.models.load import load_block

RNG = np.random.default_rng(0)
Y = np.arange(40) // 2 % 2
X = np.clip(0.3 + 0.4 * Y[:, None, None, None] + 0.2 * RNG.standard_normal((40, 1, 3, 3)), 0, 1).astype(np.float32)
THREATS = {"Linf": 0.08, "L2": 0.3}
FEW = [AttackSpec("apgd-ce", 20, 1, 0), AttackSpec("apgd-margin", 20, 1, 0)]


def linear(X=X):  # noqa: N803
    return LogisticRegression().fit(X.reshape(len(X), -1), Y)


def as_module(estimator, dtype=torch.float32):
    """The linear classifier as a network of two logits."""
    layer = nn.Linear(9, 2).to(dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.concatenate([0 * estimator.coef_, estimator.coef_])))
        layer.bias.copy_(torch.from_numpy(np.concatenate([[0.0], estimator.intercept_])))
    return nn.Sequential(nn.Flatten(), layer).eval()


def accuracy(result, name, measure):
    frame = result.to_frame().set_index(["classifier", "measure"])
    return frame.loc[(name, measure), "accuracy"]


def test_a_network_that_is_a_linear_classifier_falls_where_the_exact_radius_says():
    estimator = linear()
    result = evaluate({"exact": estimator, "attacked": as_module(estimator)}, X, Y, THREATS, attacks=FEW)
    records = result.records.set_index(["classifier", "norm", "index"])
    exact, attacked = records.loc["exact"], records.loc["attacked"]
    assert (exact["kind"] == "exact").all()
    assert (attacked["kind"] == "attacked").all()
    # An attack in float32 may miss an image whose radius is epsilon less a rounding; none here is that near.
    assert (exact["is_robust"] == attacked["is_robust"]).all()
    assert 0 < accuracy(result, "exact", "union") < accuracy(result, "exact", "clean")


@pytest.mark.parametrize("is_bytes", [False, True])
def test_bytes_and_the_floats_that_they_stand_for_give_the_same_table(is_bytes):
    stored = np.round(255 * X).astype(np.uint8)
    images = stored if is_bytes else stored / 255
    models = {"1NN": OneNearestNeighbor().fit(images[::2], Y[::2]), "net": as_module(linear(stored / 255))}
    frame = evaluate(models, images[1::2], Y[1::2], THREATS, attacks=FEW).to_frame()
    other = evaluate(
        {"1NN": OneNearestNeighbor().fit(stored[::2] / 255, Y[::2]), "net": models["net"]},
        (stored / 255).astype(np.float32)[1::2], Y[1::2], THREATS, attacks=FEW,
    ).to_frame()  # fmt: skip
    pd.testing.assert_frame_equal(frame, other)


def test_radii_are_in_units_of_pixels_in_0_to_1_whatever_the_images_are():
    stored = np.round(255 * X).astype(np.uint8)
    model = OneNearestNeighbor().fit(stored[::2], Y[::2])
    records = evaluate({"1NN": model}, stored[1::2], Y[1::2], {"L2": 0.3}).records
    exact = model.robust_radius(stored[1::2], Y[1::2], norm="L2", box=(0, 255))
    assert (records["radius_lower"] <= exact.upper / 255 * (1 + 1e-9)).all()
    assert ((exact.lower / 255 > 0.3) == records["is_robust"]).all()
    fallen = records[~records["is_robust"] & records["is_correct"]]
    np.testing.assert_allclose(fallen["perturbation_norm"], fallen["radius_upper"], rtol=1e-6)


def test_a_metric_has_references_in_units_of_its_own():
    stored = np.round(255 * X).astype(np.uint8)
    plain, scaled = (OneNearestNeighbor(metric=metric) for metric in (None, np.eye(9) / 1000))
    models = {"plain": plain.fit(stored[::2], Y[::2]), "metric": scaled.fit(stored[::2], Y[::2])}
    result = evaluate(models, stored[1::2], Y[1::2], THREATS)
    assert accuracy(result, "metric", "union") == accuracy(result, "plain", "union")


def test_a_robust_linear_classifier_is_exact_in_l1_too():
    model = RobustLinearClassifier(norm="Linf", epsilon=0.05).fit(X, Y)
    frame = evaluate({"linear": model}, X, Y, {"L1": 0.5, **THREATS}).to_frame()
    assert frame["measure"].tolist() == ["clean", "Linf", "L2", "L1", "union"]
    assert set(frame["kind"]) == {"exact"}


def test_a_function_is_attacked_by_queries_alone_and_never_below_the_exact_radius():
    estimator = linear()
    models = {"exact": estimator, "function": lambda x: estimator.predict_proba(x.reshape(len(x), -1))}
    result = evaluate(models, X[:12], Y[:12], {"Linf": 0.08}, attacks=[*FEW, AttackSpec("square", 200, 1, 0)])
    records = result.records.set_index(["classifier", "index"])
    assert not (records.loc["exact", "is_robust"] & ~records.loc["function", "is_robust"]).any()
    assert set(records.loc["function", "note"]) == {"black box: by queries alone"}
    assert set(records.loc["function", "attacks"]) == {"square"}


def test_points_that_are_no_images_are_attacked_in_their_own_shape():
    estimator = linear()
    network = as_module(estimator)[1]
    points = X.reshape(len(X), -1)
    images = evaluate({"net": as_module(estimator)}, X, Y, THREATS, attacks=FEW).to_frame()
    pd.testing.assert_frame_equal(evaluate({"net": network}, points, Y, THREATS, attacks=FEW).to_frame(), images)


def test_a_network_is_given_back_as_it_was():
    network = as_module(linear())
    network[1].bias.requires_grad_(False)
    evaluate({"net": network}, X, Y, THREATS, attacks=FEW)
    assert network[1].weight.requires_grad
    assert not network[1].bias.requires_grad


def test_the_same_seed_gives_the_same_records():
    network = small_network(n_classes=2)
    images = RNG.random((20, *SHAPE), dtype=np.float32)
    runs = [evaluate({"net": network}, images, Y[:20], THREATS, attacks=FEW, batch_size=n).records for n in (20, 7)]
    pd.testing.assert_frame_equal(runs[0][["is_robust", "method"]], runs[1][["is_robust", "method"]])


def test_the_table_has_counts_intervals_and_kinds():
    frame = evaluate({"exact": linear(), "net": as_module(linear())}, X, Y, THREATS, attacks=FEW).to_frame()
    assert (frame["n"] == 40).all()
    assert ((frame["low"] <= frame["accuracy"]) & (frame["accuracy"] <= frame["high"])).all()
    kinds = frame.set_index(["classifier", "measure"])["kind"]
    assert kinds["exact", "union"] == kinds["net", "clean"] == "exact"
    assert kinds["net", "union"] == kinds["net", "Linf"] == "attacked"


def test_what_is_proven_of_a_network_is_no_more_than_what_attacks_leave_and_of_a_linear_one_the_exact_share():
    torch.manual_seed(0)
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    with torch.no_grad():
        mlp[3].bias[0] += 0.3
    models = {"exact": linear(), "net": as_module(linear(), torch.float64).float(), "mlp": mlp, "without": mlp}
    result = evaluate(models, X, Y, {"Linf": 0.02, "L2": 0.08}, attacks=FEW, bounds=["net", "mlp"])
    frame = result.to_frame().set_index(["classifier", "measure"])
    for measure in ("Linf", "L2", "union"):
        assert frame.loc[("exact", measure), "proven"] == frame.loc[("exact", measure), "accuracy"]
        assert 0 < frame.loc[("mlp", measure), "proven"] <= frame.loc[("mlp", measure), "accuracy"]
        assert np.isnan(frame.loc[("without", measure), "proven"])
    assert frame.loc[("net", "Linf"), "proven"] == frame.loc[("exact", "Linf"), "accuracy"]
    assert f">= {100 * frame.loc[('mlp', 'Linf'), 'proven']:.1f}" in str(result)
    records = result.records[result.records["radius_lower"] > 0]
    assert (records["radius_lower"] <= records["radius_upper"]).all()
    assert result.about["bounds"] == ["net", "mlp"]


@pytest.mark.parametrize("bounds", [["1NN"], ["other"], "net"])
def test_bounds_are_of_networks_by_name(bounds):
    models = {"net": as_module(linear()), "1NN": OneNearestNeighbor().fit(X, Y)}
    with pytest.raises(DataError, match="bounds: expected a list of names of networks in models, got "):
        evaluate(models, X, Y, THREATS, attacks=FEW, bounds=bounds)


def test_a_network_without_linear_bounds_is_refused_before_it_is_attacked():
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    with pytest.raises(DataError, match="net: network: expected convolutions, .*, got Tanh"):
        evaluate({"net": network}, X, Y, THREATS, attacks=FEW, bounds=["net"])


def test_the_files_of_an_evaluation_say_what_its_frame_does(tmp_path):
    result = evaluate(
        {"1NN <b>": OneNearestNeighbor().fit(X[::2], Y[::2]), "net": as_module(linear())}, X, Y, THREATS, attacks=FEW
    )
    result.save(tmp_path / "out")
    pd.testing.assert_frame_equal(
        pd.read_csv(
            tmp_path / "out" / "table.csv", keep_default_na=False, na_values={"epsilon": "", "stated": "", "proven": ""}
        ),
        result.to_frame(),
    )
    records = pd.read_parquet(tmp_path / "out" / "records.parquet")
    assert records.columns.tolist() == COLUMNS
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["threat_models"] == [{"norm": "Linf", "epsilon": 0.08}, {"norm": "L2", "epsilon": 0.3}]
    assert list(about["attacks"]) == ["net"]
    claims = json.loads((tmp_path / "out" / "model_info.json").read_text())
    assert [(one["name"], one["eps"], one["autoattack_acc"]) for one in claims] == [
        ("net", "0.08", None),
        ("net", "0.3", None),
    ]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "1NN &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.split("<table", 1)[0].replace("http-equiv", "")


def test_clean_accuracy_is_compared_with_what_is_stated_before_anything_is_attacked(tmp_path):
    torch.save(small_network(n_classes=2).state_dict(), tmp_path / "mine.pt")
    about = block(classes=("cat", "dog"), clean_accuracy=0.99)
    model = load_block(about, tmp_path)
    images = RNG.random((40, *SHAPE), dtype=np.float32)
    with pytest.raises(
        AttackError, match="mine: expected a clean accuracy of about 99.0 %, as stated, got .*; check mean and std"
    ):
        evaluate({"first": as_unattackable(), "mine": model}, images, Y, THREATS)
    result = evaluate({"mine": model}, images, Y, THREATS, attacks=FEW, allowance=1)
    assert result.to_frame()["stated"].tolist()[0] == 0.99
    assert "stated" in result.wide()


def as_unattackable():
    """A network that says the first class and breaks where its gradient is asked for."""

    class Broken(nn.Module):
        def forward(self, x):
            assert not x.requires_grad
            return torch.tensor([1.0, 0.0]).expand(len(x), 2)

    return Broken().eval()


@pytest.mark.parametrize(
    ("model", "changes", "kind", "expected"),
    [
        (KNeighborsClassifier(), {}, DataError, "net: expected a torch.nn.Module, an estimator with robust_radius, or a function"),
        ("onnx:net.onnx", {}, DataError, "net: expected a torch.nn.Module, .* got str"),
        (as_module(linear()).train(), {}, AttackError, "net: expected a network in eval mode"),
        (as_module(linear()), {"y": Y + 1}, DataError, "net: y: expected class ids of its 2 outputs, 0 to 1, got 2"),
        (as_module(linear()), {"threats": {"L1": 1}}, DataError, "net: threats: expected Linf and L2 where models are attacked, got L1"),
        (nn.Linear(5, 2).eval(), {}, AttackError, r"net: expected logits of float32 images \(1, 1, 3, 3\) in .0, 1., got RuntimeError"),
        (linear(), {"y": Y + 1}, DataError, "net: y: expected labels out of"),
        (lambda x: np.zeros(len(x)), {}, AttackError, r"net: expected scores of shape \(1, classes\) from the function, got \(1,\)"),
        (OneNearestNeighbor().fit((255 * X).astype(np.uint8), Y), {}, DataError, "net: expected it fitted on images in the units of X, 0 to 1, got"),
    ],
    ids=["estimator", "text", "training mode", "labels", "L1", "shape", "labels of an estimator", "function of labels", "units"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:X. expected queries in the units of the references")
def test_each_fault_of_a_model_is_one_sentence_with_its_name(model, changes, kind, expected):
    given = {"y": Y, "threats": THREATS, **changes}
    with pytest.raises(kind, match=expected):
        evaluate({"net": model}, X, given["y"], given["threats"], attacks=FEW)


def test_no_models_are_refused():
    with pytest.raises(DataError, match="models: expected one or more by name, got none"):
        evaluate({}, X, Y, THREATS)


def test_the_function_stays_one_after_its_package_is_imported():
    import nnrobust.evaluation.evaluate

    assert callable(nnrobust.evaluate)
    assert callable(nnrobust.load_model)
