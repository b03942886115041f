"""The campaign on the CPU: a tiny budget, a bare machine, a second call that goes on, what is refused, and the published run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from made.project import ROOT, profile
from nnrobust.data.datasets import Dataset, Pair, Split
from nnrobust.errors import RecordError
from nnrobust.experiments.plan import Plan
from nnrobust.records import read_records, write_records

ABSENT = [
    "dvc",
    "dvclive",
    "faiss",
    "robustbench",
    "pydantic",
    "optuna",
    "ray",
    "safetensors",
    "tqdm",
    "scipy",
    "sklearn",
]
BARE = "import sys, runpy; sys.modules.update(dict.fromkeys({absent})); sys.argv = {argv}; runpy.run_path({path!r}, run_name='__main__')"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three classes of 32x32 RGB images that differ in brightness: ten for training, four for testing of each."""
    folder, generator = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, n in (("train", 10), ("test", 4)):
        for number, name in enumerate(("airplane", "automobile", "bird")):
            (folder / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = generator.integers(100 * number, 100 * number + 55, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def tiny_profile(tmp_path_factory):
    """The profile `paper` with a small network, four variants, two epochs, a search of two settings, and attacks of two steps."""
    content = profile("paper")
    variants = {name: content["variants"][name] for name in ("S", "T_R", "T_B")}
    for one in variants.values():
        one.update(architecture="cnn_a", width=None, epochs=2, batch_size=8, learning_rate=0.01)
    for name in ("T_R", "T_B"):
        variants[name]["trades"]["perturbations"][0]["steps"] = 2
    variants["T_R_10"] = variants["T_R"] | {"problem": "all_classes"}
    content["variants"] = variants
    content["validation"]["steps"] = 2
    content["search"] |= {"n_settings": 2, "n_trials": 2, "min_epochs": 1, "max_epochs": 2}
    one = {name: values[:1] for name, values in content["search"]["space"].items()}
    content["search"]["space"] = one | {"beta": [1.0, 6.0], "steps": [2], "epochs": [2], "batch_size": [8]}
    content["attack"]["attacks"] = [
        {"name": "apgd-ce", "steps": 2, "restarts": 1},
        {"name": "fmn", "steps": 2, "restarts": 1},
    ]
    path = tmp_path_factory.mktemp("profile") / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run(out, images, profile_path, *more, budget="300s"):
    argv = ["campaign.py", str(profile_path), "--images", str(images), "--budget", budget, "--out", str(out),
            "--work", str(out.parent / f"{out.name}.work"), "--n-train-per-class", "3", *more]  # fmt: skip
    code = BARE.format(absent=ABSENT, argv=argv, path=str(ROOT / "scripts" / "campaign.py"))
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, images, tiny_profile):
    """A call that is given no time, one that goes on from it and is stopped after some networks, and one that finishes."""
    first, second, third = (tmp_path_factory.mktemp(name) for name in ("first", "second", "third"))
    done = run(first, images, tiny_profile, budget="0.001s")
    assert done.returncode == 0, done.stderr
    assert not (first / "training.csv").exists()
    done = run(second, images, tiny_profile, "--resume", str(first))
    assert done.returncode == 0, done.stderr
    for path in second.glob("*.csv"):
        table = pd.read_csv(path)
        table[table["classifier"] == "S"].to_csv(path, index=False)
    done = run(third, images, tiny_profile, "--resume", str(second))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("T_B is left out: its settings are searched with Optuna, which is not installed here")
    return third


@pytest.mark.slow
def test_every_variant_is_trained_and_attacked_on_every_pair_and_resumed_ones_are_kept(finished):
    training = pd.read_csv(finished / "training.csv")
    assert training.groupby("classifier")["pair"].apply(sorted).to_dict() == {
        "S": ["0-1", "0-2", "1-2"],
        "T_R": ["0-1", "0-2", "1-2"],
        "T_R_10": ["0-1", "0-2", "1-2", "all"],
    }
    assert len(pd.read_csv(finished / "history.csv")) == 2 * 7
    for name in ("S", "T_R_10"):
        records = read_records(finished / f"{name}.parquet")
        pairs = records[records["pair"] != "all"]
        assert pairs.groupby(["pair", "split", "norm"], observed=True).size().to_dict() == {
            (pair, split, norm): n
            for pair in ("0-1", "0-2", "1-2")
            for split, n in (("train", 6), ("test", 8))
            for norm in ("Linf", "L2")
        }
    everything = records[records["pair"] == "all"]
    assert everything.groupby(["split", "norm"], observed=True).size().to_dict() == {
        ("train", "Linf"): 9, ("train", "L2"): 9, ("test", "Linf"): 12, ("test", "L2"): 12,
    }  # fmt: skip
    calls = json.loads((finished / "provenance.json").read_text())["calls"]
    assert [call["stopped"] for call in calls][-1] == "all is done"
    assert {call["image_shape"][-1] for call in calls} == {32}
    assert [call["precision"] for call in calls] == [{"training": "float32", "attack": "float32"}] * 3
    assert [call["left_out"] for call in calls] == [["T_B"]] * 3


@pytest.mark.parametrize("is_whole", [False, True])
def test_the_variant_whose_settings_are_searched_is_last(is_whole):
    sys.path.insert(0, str(ROOT / "scripts"))
    from campaign import units

    content = profile("paper")
    blocks = {name: content["variants"][name] for name in ("T_B", "S", "T_R")}
    blocks["T_R_10"] = blocks["T_R"] | {"problem": "all_classes"}
    if is_whole:
        blocks["T_B"] = blocks["T_B"] | {"problem": "all_classes"}
    plan = Plan.of(content | {"variants": blocks}, list(blocks), {"train": 1, "test": 1}, Path("search.journal"))
    pairs, split = [Pair(0, 1), Pair(0, 2)], Split(np.zeros((3, 3, 2, 2), np.uint8), np.arange(3), ["a", "b", "c"])
    todo = units(Dataset("x", ["a", "b", "c"], split, split), pairs, plan, 1)
    last = [("all",), ("0-1", "0-2")] if is_whole else [("0-1",), ("0-2",)]
    assert [(unit.variant, tuple(map(str, unit.problems))) for unit in todo] == [
        ("T_R_10", ("all",)), ("T_R_10", ("0-1", "0-2")), ("S", ("0-1",)), ("T_R", ("0-1",)), ("S", ("0-2",)), ("T_R", ("0-2",)),
        *(("T_B", problems) for problems in last),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_network_of_all_classes_is_trained_once(finished):
    training = pd.read_csv(finished / "training.csv").set_index(["classifier", "pair"])
    whole = training.loc["T_R_10"]
    assert set(whole["network"]) == {"all"}
    assert whole["seconds"].gt(0).to_dict() == {"all": True, "0-1": False, "0-2": False, "1-2": False}
    assert training.loc["S", "network"].to_dict() == {"0-1": "0-1", "0-2": "0-2", "1-2": "1-2"}


@pytest.mark.slow
def test_on_pairs_a_network_of_all_classes_answers_by_two_of_its_logits(finished):
    records = read_records(finished / "T_R_10.parquet")
    for pair in ("0-1", "0-2", "1-2"):
        part = records[records["pair"] == pair]
        assert set(part["prediction"]) <= {int(name) for name in pair.split("-")}
    # Right among all classes, it is right among two of them.
    key = ["split", "index", "norm"]
    whole = records[(records["pair"] == "all") & records["is_correct"]].set_index(key)
    pairs = records[records["pair"] != "all"].set_index(key)
    assert pairs.loc[pairs.index.isin(whole.index), "is_correct"].all()


@pytest.mark.slow
def test_networks_are_proven_once_more_from_where_the_campaign_keeps_them(finished, images, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "out")
    proven = read_records(folder / "T_R_10.parquet")
    problems = [str(problem) for problem in proven["pair"].unique()]
    write_records([proven.assign(radius_lower=0.0)], folder / "T_R_10.parquet")
    command = [sys.executable, "scripts/prove.py", str(folder), "T_R_10", "--work", str(finished.parent / f"{finished.name}.work")]  # fmt: skip
    done = subprocess.run([*command, "--images", str(images)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(read_records(folder / "T_R_10.parquet"), proven)
    before, after = (json.loads((one / "provenance.json").read_text()) for one in (finished, folder))
    assert after["calls"] == before["calls"]
    assert [(note["variant"], note["problems"]) for note in after["proofs"]] == [("T_R_10", problems)]
    is_last = proven["pair"] == problems[-1]
    write_records([proven.assign(radius_lower=proven["radius_lower"].where(~is_last, 0.0))], folder / "T_R_10.parquet")
    again = subprocess.run([*command, "--images", str(images)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.stdout == f"T_R_10: all {len(problems)} problems have their proofs\n"
    after["proofs"][0]["problems"] = problems[:-1]
    (folder / "provenance.json").write_text(json.dumps(after))
    grown = subprocess.run([*command, "--images", str(images)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert grown.returncode == 0, grown.stderr
    pd.testing.assert_frame_equal(read_records(folder / "T_R_10.parquet"), proven)
    notes = json.loads((folder / "provenance.json").read_text())["proofs"]
    assert [note["problems"] for note in notes] == [problems[:-1], problems[-1:]]
    images_of_others = shutil.copytree(images, tmp_path / "images")
    next(images_of_others.rglob("*.png")).unlink()
    refused = subprocess.run([*command, "--images", str(images_of_others)], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert refused.returncode == 1
    assert "expected the images of the campaign" in refused.stderr


@pytest.mark.slow
def test_a_call_leaves_a_handful_of_files(finished):
    names = sorted(path.name for path in finished.iterdir())
    assert names == [
        "S.parquet", "T_R.parquet", "T_R_10.parquet", "history.csv", "provenance.json", "training.csv",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["data", "recipe", "attack"])
def test_other_data_recipes_and_attacks_are_not_added(finished, images, tiny_profile, tmp_path, fault):
    content, folder = yaml.safe_load(tiny_profile.read_text()), images
    if fault == "data":
        folder = tmp_path / "images"
        shutil.copytree(images, folder)
        (folder / "test" / "bird" / "0.png").write_bytes((folder / "test" / "bird" / "1.png").read_bytes())
    elif fault == "recipe":
        content["variants"]["S"]["epochs"] = 3
    else:
        content["attack"]["attacks"][0]["steps"] = 3
    other, out = tmp_path / "other.yaml", tmp_path / "out"
    other.write_text(yaml.safe_dump(content))
    shutil.copytree(finished, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    done = run(out, folder, other)
    assert done.returncode == 1
    expected = {"data": "calls with one data_sha256", "recipe": "one recipe of S", "attack": "calls with one settings"}
    assert f"RecordError: {out}: expected {expected[fault]}, got" in done.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.slow
def test_a_terminated_call_ends_after_its_epoch_and_goes_on(images, tiny_profile, tmp_path):
    content = yaml.safe_load(tiny_profile.read_text())
    content["variants"] = {"S": content["variants"]["S"] | {"epochs": 100_000, "milestones": []}}
    path, out = tmp_path / "long.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(content))
    command = [sys.executable, str(ROOT / "scripts" / "campaign.py"), str(path), "--images", str(images), "--budget", "1h",
               "--out", str(out), "--work", str(tmp_path / "work")]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as call:
        assert "100000 epochs, batches of 8, learning rate 0.01," in call.stdout.readline()
        assert "epoch 1 of 100000" in call.stdout.readline()
        call.terminate()
        *_, last = call.stdout
    assert call.returncode == 0
    assert last.startswith("a signal ended it; 0 networks")
    assert json.loads((out / "provenance.json").read_text())["calls"][0]["stopped"] == "a signal ended it"
    assert list((tmp_path / "work").glob("*.pt"))


@pytest.mark.slow
def test_folders_are_added_up_to_a_published_run(finished, tmp_path, monkeypatch):
    sys.path.insert(0, str(ROOT / "scripts"))
    import publish

    monkeypatch.setattr(publish, "RESULTS", tmp_path)
    twice = tmp_path / "twice"
    shutil.copytree(finished, twice)
    out = publish.publish_folders("both", [finished, twice])
    table = pd.read_csv(out / "pairs.csv")
    trained = pd.read_csv(out / "training.csv")
    assert set(table["n"]) == {6, 8, 9, 12}
    assert len(table) == 2 * 2 * 2 * (trained["status"] != "failed").sum() > 0
    assert (table["kind"] == "attacked").all()
    assert len(trained) == 10
    provenance = json.loads((out / "provenance.json").read_text())
    assert len(provenance["calls"]) == 3
    assert provenance["commit"] == provenance["calls"][-1]["commit"]
    assert provenance["proofs"] == []
    assert provenance["profile"]["profile"] == "paper"
    assert {path.name for path in out.glob("*.png")} == {"figure_4.png", "figure_5.png", "training.png"}
    summary = json.loads((out / "summary.json").read_text())
    assert sorted(summary) == ["S", "T_R", "T_R_10", "T_R_10_all_classes"]
    verdicts = {one["id"]: one["verdict"] for one in json.loads((out / "claims.json").read_text())}
    assert verdicts["standard_training"] != "not run"
    assert verdicts["train_1nn_l2"] == "not run"
    noted = json.loads((twice / "provenance.json").read_text())
    problems = trained.loc[trained["classifier"] == "T_R", "pair"].tolist()
    (twice / "provenance.json").write_text(json.dumps(noted | {"proofs": [{"variant": "T_R", "problems": problems}]}))
    with pytest.raises(RecordError, match=f"{finished}: expected proofs of T_R on all its problems or on none, got no"):
        publish.publish_folders("both", [finished, twice])  # proven in the second, but taken from the first
    assert publish.publish_folders("both", [twice, finished]).exists()


@pytest.mark.slow
def test_what_is_no_run_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "publish.py"), "x", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "RecordError" in done.stderr
    assert "training.csv: expected a file that scripts/campaign.py leaves, found none" in done.stderr
    assert not Path(ROOT / "results" / "x").exists()


@pytest.mark.slow
def test_the_benchmark_the_tests_and_the_search_of_a_call_leave_their_numbers(
    images, tiny_profile, tmp_path, monkeypatch, capsys
):
    sys.path.insert(0, str(ROOT / "scripts"))
    import campaign

    monkeypatch.setattr(campaign, "TESTS", ["training/test_train"])
    monkeypatch.setattr(campaign, "SHORT", 1)
    argv = ["campaign.py", str(tiny_profile), "--images", str(images), "--budget", "600s", "--out", str(tmp_path),
            "--work", str(tmp_path / "work"), "--n-train-per-class", "1", "--n-test-per-class", "1", "--benchmark"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", argv)
    campaign.main()
    benchmark = pd.read_csv(tmp_path / "benchmark.csv")
    assert benchmark["way"].tolist() == ["published loop, float32", "this engine, float32", "this engine, bfloat16"]
    assert (benchmark["images_per_second"] > 0).all()
    precision = pd.read_csv(tmp_path / "precision.csv")
    assert precision.groupby("precision").size().to_dict() == {"bfloat16": 3, "float32": 3}
    (call,) = json.loads((tmp_path / "provenance.json").read_text())["calls"]
    assert "skipped" in call["tests"]
    assert "deselected" in call["tests"]
    tried = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pair 0-1: cnn_a, ")]
    assert {line.partition("TRADES with ")[2][:6] for line in tried} >= {"beta 1", "beta 6"}
    trials = pd.read_csv(tmp_path / "search_trials.csv")
    assert trials.groupby("pair").size().to_dict() == {"0-1": 2, "0-2": 2, "1-2": 2}
    assert call["recipes"]["T_B"]["search"]["n_trials"] == 2
    training = pd.read_csv(tmp_path / "training.csv")
    assert training["classifier"].tolist()[-3:] == ["T_B"] * 3  # after all others
    import publish

    monkeypatch.setattr(publish, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    out = publish.publish_folders("searched", [tmp_path])
    assert len(pd.read_csv(out / "search_trials.csv")) == 6
    assert set(json.loads((out / "search.json").read_text())) == {"chosen", "optimistic"}
