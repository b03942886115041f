"""The command `nnrobust`."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import nnrobust
from made.project import ROOT
from nnrobust.cli import main
from nnrobust.models.load import built_by

BUILD = "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(9, 2))\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a network, its weights, and images of two classes: `train.npz`, `data.npz`."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    (tmp_path / "mine.py").write_text(BUILD)
    weights = {"1.weight": torch.tensor([[-1.0] * 9, [1.0] * 9]), "1.bias": torch.tensor([4.5, -4.5])}
    torch.save({"state_dict": weights}, "w.pt")
    y = np.arange(20) % 2
    x = np.clip(0.3 + 0.4 * y[:, None, None, None] + 0.2 * generator.standard_normal((20, 1, 3, 3)), 0, 1)
    np.savez("train.npz", X=np.round(255 * x[:10]).astype(np.uint8), y=y[:10])
    np.savez("data.npz", images=np.round(255 * x[10:]).astype(np.uint8), labels=y[10:])
    return tmp_path


def test_evaluate_prints_the_table_and_writes_it(folder, capsys):
    code = main(
        ["evaluate", "--model", "net=mine.py:build", "--weights", "w.pt", "--references", "train.npz", "--data", "data.npz",
         "--threat", "Linf=8/255", "--threat", "L2=0.2", "--out", "out", "--device", "cpu"]
    )  # fmt: skip
    assert code == 0
    printed = capsys.readouterr().out
    assert printed.split()[:4] == ["classifier", "n", "kind", "clean"]
    frame = pd.read_csv("out/table.csv")
    assert frame["classifier"].unique().tolist() == ["net", "1NN"]
    network = built_by("mine.py:build")
    network.load_state_dict(torch.load("w.pt", weights_only=True)["state_dict"])
    with np.load("data.npz") as data:
        right = network(torch.from_numpy(data["images"]).float() / 255).argmax(dim=1).numpy() == data["labels"]
    assert frame.loc[0, "accuracy"] == right.mean()


def test_radius_gives_the_radii_of_the_estimator_in_units_of_0_to_1(folder, capsys):
    assert main(["radius", "--references", "train.npz", "--data", "data.npz", "--norm", "Linf", "--out", "r.csv"]) == 0
    with np.load("train.npz") as train, np.load("data.npz") as data:
        model = nnrobust.OneNearestNeighbor().fit(train["X"], train["y"])
        expected = model.robust_radius(data["images"], data["labels"], norm="Linf", box=(0, 255))
    frame = pd.read_csv("r.csv")
    np.testing.assert_allclose(frame["upper"], expected.upper / 255)
    assert frame["status"].tolist() == expected.status.tolist()
    assert main(["radius", "--references", "train.npz", "--data", "data.npz", "--no-box", "--epsilon", "8/255"]) == 0
    assert "lower" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "mine.py:nothing"], "mine.py:nothing: expected a function nothing in mine.py, found none"),
        (["--model", "mine"], "mine: expected verification:NAME, robustbench:NAME, onnx:FILE, "),
        (["--model", "verification:resnet2b"], "resnet2b: expected its file at resnet2b.pth or"),
        (["--model", "onnx:none.onnx"], "none.onnx"),
        (["--model", "mine.py:build", "--weights", "none.pt"], "none.pt"),
        (["--model", "mine.py:build", "--weights", "w.pt", "--weights", "w.pt"], "--weights: expected one file for each"),
        (["--model", "mine.py:build", "--model", "mine.py:build"], "--model: expected each name once, got mine.py:build again"),
        (["--model", "mine.py:build", "--threat", "Linf"], "epsilon: expected a number or a text like"),
        (["--model", "mine.py:build", "--threat", "Linf=8/255", "--stated", "1.5"], "stated: expected fractions in [0, 1] for models of mine.py:build, got"),
        (["--model", "mine.py:build", "--data", "mine.py"], "mine.py: expected an .npz file of arrays"),
        (["--model", "mine.py:build", "--data", "none.npz"], "none.npz: expected an .npz file of arrays"),
        ([], "--model: expected one or more, or --references for 1NN, got none"),
    ],
)  # fmt: skip
def test_each_fault_is_one_line_and_exit_status_2(folder, capsys, arguments, expected):
    assert main(["evaluate", "--data", "data.npz", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("nnrobust: ")
    assert expected in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_unknown_options_are_argparses_exit_status_2(folder):
    with pytest.raises(SystemExit) as leaves:
        main(["evaluate", "--data", "data.npz", "--modle", "mine.py:build"])
    assert leaves.value.code == 2


def test_data_under_other_names_is_said_to_be(folder, capsys):
    np.savez("other.npz", x=np.zeros((2, 2)))
    assert main(["radius", "--references", "train.npz", "--data", "other.npz"]) == 2
    assert "other.npz: expected arrays called X and y or images and labels, got x" in capsys.readouterr().err


def test_the_version_comes_without_torch():
    code = "import sys; from nnrobust.cli import main\ntry:\n    main(['--version'])\nfinally:\n    assert 'torch' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout == f"nnrobust {nnrobust.__version__}\n", run.stderr
