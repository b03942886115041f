"""The roster, and the stages over a zoo of models from local files; nothing is downloaded."""

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from made.project import copy_project, dvc, environment, profile, write_profile, write_report
from made.zoo import SMALL, import_zoo, write_checkpoints
from nnrobust.errors import FetchError
from nnrobust.models.architectures import ARCHITECTURES
from nnrobust.records import read_records
from nnrobust.zoo.load import zoo_module
from nnrobust.zoo.models import find, newer, roster


def test_the_roster_has_69_models_of_which_one_is_not_adversarially_trained_and_four_were_for_another_epsilon():
    models = roster()
    assert len(models) == 69
    assert [name for name, model in models.items() if not model.is_adversarially_trained] == ["Standard"]
    assert models["Standard"].autoattack_accuracy == 0.0
    assert {name for name, model in models.items() if model.epsilon != "8/255"} == {
        "Zhang2019Theoretically",
        "Huang2020Self",
        "Cui2020Learnable_34_20",
        "Cui2020Learnable_34_10",
    }
    assert sum(model.is_timm for model in models.values()) == 3


def test_a_model_has_what_robustbench_publishes_of_it():
    model = find("Kang2021Stable")
    assert (model.clean_accuracy, model.autoattack_accuracy, model.external_accuracy) == (93.73, 71.28, 64.20)
    assert (model.architecture, model.n_parameters) == ("WideResNet-70-16, Neural ODE block", 266.857)
    model = find("Bai2024MixedNUTS")
    assert (model.clean_accuracy, model.autoattack_accuracy, model.external_accuracy) == (95.19, 70.08, 69.71)
    assert model.n_parameters is None


def test_the_newer_models_are_others_than_the_69():
    assert len(newer()) == 7
    assert not set(newer()) & set(roster())


def test_every_identifier_is_robustbenchs_own():
    import_zoo()
    enums = zoo_module("robustbench.model_zoo.enums")
    entries = zoo_module("robustbench.model_zoo").model_dicts[enums.BenchmarkDataset.cifar_10][enums.ThreatModel.Linf]
    for name, model in (roster() | newer()).items():
        if not model.is_timm:
            published = entries[name]["gdrive_id"]
            assert list(model.identifiers) == (published if isinstance(published, list) else [published]), name


def test_an_ensemble_has_a_file_for_each_member():
    assert find("Chen2020Adversarial").file_names == [f"Chen2020Adversarial.pt_m{i}.pt" for i in range(3)]


def test_an_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(
        FetchError, match=r"Wong2020: expected one of 76 models \(zoo.models\), .*; did you mean Wong2020Fast\?"
    ):
        find("Wong2020")


@pytest.mark.slow
def test_dvc_runs_a_stage_for_each_model_of_the_profile_paper(tmp_path):
    copy_project(tmp_path)
    write_profile("paper", tmp_path)
    stages = dvc(tmp_path, "stage", "list", "--name-only").split()
    assert {name for name in stages if name.startswith("fetch@")} == {f"fetch@{name}" for name in roster()}
    assert sum(name.startswith("attack_zoo@") for name in stages) == 69


@pytest.fixture
def workspace(tmp_path):
    """A copy of the project with made images of ten classes, a zoo of one model, and a folder with its file."""
    generator = np.random.default_rng(0)
    for split, n in (("train", 2), ("test", 1)):
        for class_id in range(10):
            folder = tmp_path / "data" / "raw" / "made" / split / f"class{class_id}"
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    copy_project(tmp_path)
    (tmp_path / "weights").mkdir()
    write_checkpoints(SMALL, tmp_path / "weights")
    params = profile("cifar10")
    params["data"] |= {"source": "image_folder", "path": "data/raw/made", "name": "made"}
    params["variants"], params["search"]["variants"], params["classifiers"] = {}, [], {}
    params["growth"]["classifiers"] = []
    params["attack"]["attacks"] = [{"name": "fmn", "steps": 2, "restarts": 1}]
    params["examples"] = {
        "problem": "all",
        "n_images": 4,
        "classifiers": {"1NN": "data/prepared", SMALL: f"models/zoo/{SMALL}"},
    }
    params["zoo"] |= {"models": [SMALL], "local_dir": "weights", "n_train": 3, "n_test": 2}
    params["zoo"]["attacks"] = [{"name": "apgd-ce", "steps": 2, "restarts": 1}]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def changed(workspace, **options):
    """Writes params.yaml with other options of the zoo."""
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["zoo"] |= options
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))


@pytest.mark.slow
def test_the_stages_bring_and_attack_a_model_and_judge_and_draw_it_beside_1nn(workspace):
    dvc(workspace, "repro")
    table = pd.read_csv(workspace / "metrics" / "zoo.csv")
    rows = table[table["classifier"] == SMALL][["split", "norm", "n"]].drop_duplicates().values.tolist()
    assert sorted(rows) == [["test", "L2", 2], ["test", "Linf", 2], ["train", "L2", 3], ["train", "Linf", 3]]
    assert list(json.loads((workspace / "models" / "zoo.lock.json").read_text())) == [f"{SMALL}.pt"]
    claims = {claim["id"]: claim for claim in json.loads((workspace / "metrics" / "claims.json").read_text())}
    assert claims["zoo_test_l2"]["sample"] == "1 of 69 models, 2 test images"
    assert claims["zoo_test_l2"]["verdict"] != "not run"
    assert claims["test_l2"]["verdict"] == "not run"
    images = {path.stem for path in (workspace / "plots" / "images").iterdir()}
    assert {"figure_1", "figure_7", "figure_8"} <= images
    assert not images & {"figure_6", "training", "attack_strength"}
    written = write_report(workspace)
    assert written.returncode == 0, written.stderr
    assert "1 of 1 models" in (workspace / "report" / "index.html").read_text()


def network_block(**changes):
    """The block of a network for the made images, whose file lies in `weights`."""
    return {
        "source": "local", "commit": "", "path": "mine.pt", "sha256": None, "licence": "MIT", "copyright": "me", "dataset": "made",
        "architecture": "base", "entry": "", "shape": [3, 32, 32], "value_range": [0.0, 1.0], "mean": [0.5] * 3, "std": [0.5] * 3,
        "layout": "NCHW", "classes": [f"class{i}" for i in range(10)], "trained_for": "nothing", "clean_accuracy": None,
        "published": "", "allowance": 0.05, "problems": "both",
    } | changes  # fmt: skip


@pytest.fixture
def with_network(workspace):
    """The workspace with a network of random, small weights in place of the zoo's model."""
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["models"] = {"mine": network_block()}
    params["attack"]["n_train_per_class"] = 1  # of more
    params["bounds"]["models"] = ["mine"]
    params["zoo"]["models"], params["examples"]["classifiers"] = [], {"1NN": "data/prepared"}
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    torch.manual_seed(0)
    states = ARCHITECTURES["base"]((3, 32, 32), 10).state_dict()
    states["0.weight"] /= 100  # so that pixels matter little, and something can be proven
    torch.save(states, workspace / "weights" / "mine.pt")
    return workspace


@pytest.mark.slow
def test_a_network_of_a_block_is_fetched_attacked_on_all_classes_and_on_pairs_and_drawn_beside_1nn(with_network):
    dvc(with_network, "repro")
    metrics = with_network / "metrics"
    pairs = pd.read_csv(metrics / "pairs.csv")
    assert set(pairs.loc[pairs["classifier"] == "mine", "pair"]) == {"all"}
    assert pairs.loc[pairs["classifier"] == "mine|pairs", "pair"].nunique() == 45
    zoo = pd.read_csv(metrics / "zoo.csv")
    assert set(zoo.loc[zoo["classifier"] == "mine", "status"]) == {"ok"}
    assert set(zoo.loc[zoo["classifier"] == "mine", "trained_for"]) == {"nothing"}
    board = pd.read_csv(metrics / "leaderboard.csv")
    assert {("mine", "all classes"), ("mine|pairs", "pairs"), ("1NN", "pairs"), ("1NN", "all classes")} == set(
        zip(board["classifier"], board["problem"], strict=True)
    )
    # Of each record there is what linear bounds prove, which is no more than what attacks leave.
    proven, stands = (
        read_records(with_network / f"data/records/{folder}/mine.parquet") for folder in ("bounds", "models")
    )
    pd.testing.assert_frame_equal(proven.assign(radius_lower=0.0), stands)
    is_proven = proven["radius_lower"] > proven["epsilon"]
    assert is_proven.any()
    assert proven.loc[is_proven, "is_robust"].all()
    (row,) = board[board["classifier"] == "mine|pairs"].itertuples()
    assert 0 < row.Linf_proven <= row.Linf
    assert 0 <= row.L2_proven <= row.L2
    assert pd.read_csv(metrics / "published.csv").empty
    assert "mine|pairs" in set(pd.read_csv(metrics / "paired.csv")["second"])
    # 1NN is measured on all images, and set against the network on those that this was attacked on.
    common = pd.read_csv(with_network / "data/common.csv")
    assert {("1NN", "mine|pairs")} <= set(zip(common["classifier"], common["other"], strict=True))
    assert set(common["other"]) <= set(pd.read_csv(metrics / "pairs.csv")["classifier"])
    assert "mine|pairs" in set(pd.read_csv(with_network / "plots" / "tables" / "figure_5.csv")["classifier"])
    assert {"figure_6", "figure_8"} <= {path.stem for path in (with_network / "plots" / "images").iterdir()}
    assert not [path for path in with_network.rglob("*|*") if ".dvc" not in path.parts]
    assert json.loads((metrics / "summary.json").read_text())["zoo"] == {"n_measured": 1, "n_models": 1}


@pytest.mark.slow
def test_a_network_that_is_less_accurate_than_stated_stops_before_it_is_attacked_and_is_listed_as_missing(with_network):
    params = yaml.safe_load((with_network / "params.yaml").read_text())
    params["models"]["mine"]["clean_accuracy"] = 0.99
    (with_network / "params.yaml").write_text(yaml.safe_dump(params))
    command = ["dvc", "repro", "attack_model@mine"]
    done = subprocess.run(command, cwd=with_network, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "mine: clean accuracy " in done.stderr
    assert "99.0 % is stated" in done.stderr
    assert "AttackError: mine: expected a clean accuracy of about 99.0 %" in done.stderr
    assert not (with_network / "data" / "records" / "models").exists()


@pytest.mark.slow
def test_a_model_that_is_there_is_kept_when_its_stage_runs_again_and_one_that_fails_stops_no_other(workspace):
    dvc(workspace, "repro", f"fetch@{SMALL}")
    (workspace / "weights").rename(workspace / "elsewhere")
    (workspace / "empty").mkdir()
    changed(workspace, local_dir="empty")
    assert "Running stage" in dvc(workspace, "repro", f"fetch@{SMALL}")
    changed(workspace, models=["Ding2020MMA", SMALL])
    command = ["dvc", "repro", "--keep-going", "summarize"]
    done = subprocess.run(command, cwd=workspace, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FetchError: Ding2020MMA: expected empty/Ding2020MMA.pt or " in done.stderr
    assert [path.name for path in (workspace / "data" / "records" / "zoo").iterdir()] == [f"{SMALL}.parquet"]
    dvc(workspace, "repro", "--single-item", "summarize")
    summary = json.loads((workspace / "metrics" / "summary.json").read_text())
    assert summary["zoo"] == {"n_measured": 1, "n_models": 2}
    table = pd.read_csv(workspace / "metrics" / "zoo.csv").set_index("classifier")
    assert table.loc["Ding2020MMA", "status"] == "missing: not fetched, or not attacked with these settings"
    assert set(table.loc[SMALL, "status"]) == {"ok"}
    assert "exact" in set(table.loc["1NN", "method"])
