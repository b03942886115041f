"""Fetching and loading zoo models from local files with random weights; nothing is downloaded."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT, copy_project, dvc
from PIL import Image

from nnrobust import zoo
from nnrobust.errors import FetchError
from nnrobust.zoo import LAYOUT, fetch, find, load, roster

NAME = "Andriushchenko2020Understanding"


@pytest.fixture(scope="module")
def local_dir(tmp_path_factory):
    """A folder with a checkpoint of one model, as RobustBench lays it out, with random weights and a numpy scalar."""
    folder = tmp_path_factory.mktemp("weights")
    zoo._import("robustbench.utils")
    entries = zoo._import("robustbench.model_zoo").model_dicts
    dataset, threat = (zoo._import("robustbench.model_zoo.enums").BenchmarkDataset.cifar_10,
                       zoo._import("robustbench.model_zoo.enums").ThreatModel.Linf)  # fmt: skip
    torch.manual_seed(0)
    network = entries[dataset][threat][NAME]["model"]()
    torch.save({"last": network.state_dict(), "accuracy": np.float64(0.5)}, folder / f"{NAME}.pt")
    return folder


def test_the_roster_has_69_models_of_which_one_is_not_adversarially_trained():
    models = roster()
    assert len(models) == 69
    assert models["Standard"].autoattack_accuracy == 0.0
    assert sum(model.epsilon != "8/255" for model in models.values()) == 4
    assert sum(model.is_timm for model in models.values()) == 3
    assert models["Zhang2019Theoretically"].autoattack_accuracy == 53.08


def test_an_ensemble_has_a_file_for_each_member():
    assert find("Chen2020Adversarial").file_names == [f"Chen2020Adversarial.pt_m{i}.pt" for i in range(3)]


def test_an_unknown_model_is_refused():
    with pytest.raises(FetchError, match=r"Wong2021: not in the roster of 69 models \(zoo.models\)"):
        find("Wong2021")


@pytest.mark.filterwarnings("ignore")
def test_a_model_from_a_local_folder_is_loaded_and_maps_images_to_ten_logits(local_dir, tmp_path):
    fetch(find(NAME), tmp_path, local_dir)
    network = load(find(NAME), tmp_path)
    assert not network.training
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)


def test_a_model_that_is_not_in_the_local_folder_is_named(tmp_path):
    with pytest.raises(
        FetchError, match=rf"{NAME}: expected .*{NAME}\.pt \(zoo.local_dir\), found none; place the file"
    ):
        fetch(find(NAME), tmp_path / "out", tmp_path)
    assert not list((tmp_path / "out").rglob("*.pt"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>" + b" " * 2_000_000, "got an HTML page"),
        (b"\n\n<HTML>Virus scan warning", "got an HTML page"),
        (b"PK\x03\x04" + b"\0" * 1000, r"expected a checkpoint of at least 1,000,000 bytes, got 1,004"),
        (b"", "at least 1,000,000 bytes, got 0"),
        (b"GIF89a" + b"\0" * 2_000_000, "expected a PyTorch file"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_refused_before_it_is_opened(tmp_path, content, expected):
    (tmp_path / f"{NAME}.pt").write_bytes(content)
    with pytest.raises(FetchError, match=f"{NAME}: .*{expected}"):
        fetch(find(NAME), tmp_path / "out", tmp_path)
    assert not list((tmp_path / "out").rglob("*.pt"))


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_checkpoint_is_an_error_that_names_it(local_dir, tmp_path):
    whole = (local_dir / f"{NAME}.pt").read_bytes()
    target = tmp_path / LAYOUT / f"{NAME}.pt"
    target.parent.mkdir(parents=True)
    target.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FetchError, match=f"{NAME}: .* cannot be loaded safely"):
        load(find(NAME), tmp_path)


class Malicious:
    def __reduce__(self):
        return (print, ("the payload ran",))


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_that_would_run_code_is_refused_and_does_not(tmp_path, capsys):
    target = tmp_path / LAYOUT / f"{NAME}.pt"
    target.parent.mkdir(parents=True)
    torch.save({"last": Malicious()}, target)
    assert zipfile.is_zipfile(target)
    with pytest.raises(FetchError, match="cannot be loaded safely"):
        load(find(NAME), tmp_path)
    assert "payload" not in capsys.readouterr().out


def test_a_model_that_was_not_fetched_is_an_error(tmp_path):
    with pytest.raises(FetchError, match=f"run `dvc repro fetch@{NAME}`"):
        load(find(NAME), tmp_path)


@pytest.mark.slow
def test_the_stages_bring_and_attack_a_model_and_summarize_has_its_row(local_dir, tmp_path):
    """`dvc repro` over a zoo of one model from a local folder, on made images of ten classes."""
    generator = np.random.default_rng(0)
    for split, n in (("train", 2), ("test", 1)):
        for class_id in range(10):
            folder = tmp_path / "data" / "raw" / "made" / split / f"class{class_id}"
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    copy_project(tmp_path)
    params = yaml.safe_load((ROOT / "profiles" / "cifar10.yaml").read_text())
    params["data"] |= {"source": "image_folder", "path": "data/raw/made", "name": "made"}
    params["variants"] = {}
    params["zoo"] |= {"models": [NAME], "local_dir": str(local_dir), "n_train": 3, "n_test": 2, "steps": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    dvc(tmp_path, "repro", "summarize")
    table = pd.read_csv(tmp_path / "metrics" / "zoo.csv")
    assert table[["classifier", "split", "norm", "n"]].values.tolist() == [
        [NAME, split, norm, n] for split, n in (("train", 3), ("test", 2)) for norm in ("Linf", "L2")
    ]
    summary = json.loads((tmp_path / "metrics" / "summary.json").read_text())
    assert sorted(summary) == ["1NN", "1NN_all_classes"]
