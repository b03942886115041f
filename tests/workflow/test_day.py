"""docs/day.md: every command of the page, in a fresh clone on a tiny profile."""

import re
import shlex
import subprocess

import pytest
import yaml

from made.project import ROOT, environment
from nnrobust.config.profiles import compose

PAGE = ROOT / "docs" / "day.md"
OTHERS = ("S", "E_S", "T_B_A", "T_L2", "T_R_10")
"""The variants of the profile `smoke` that a day goes without."""


def commands():
    """The commands of the page from top to bottom, its Python as one that runs it."""
    found = []
    for kind, block in re.findall(
        r"^```(console|python)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        lines = block.splitlines()
        found += (
            [line.removeprefix("$ ") for line in lines] if kind == "console" else [f"python -c {shlex.quote(block)}"]
        )
    return found


def test_the_page_has_commands_to_try_and_one_example_in_python():
    assert len([one for one in commands() if one.startswith("dvc ")]) >= 15
    assert len([one for one in commands() if one.startswith("python ")]) == 1


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path):
    """A clone of what is committed, on its branch main, whose params are `smoke` with two variants."""
    folder = tmp_path / "nnrobust"
    done = subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no git repository to clone: {done.stderr}")
    overlay = {
        "extends": "smoke",
        "variants": dict.fromkeys(OTHERS),
        "classifiers": {},
        "data": {"pairs": [["3", "5"]]},
        "search": {"n_trials": 1},
        "attack": {
            "attacks": [{"name": "apgd-ce", "steps": 5, "restarts": 1}],
            "strength": {"n_test_per_class": 1, "attacks": ["apgd-ce"], "steps": [2]},
            "n_train_per_class": 2,
        },
        "growth": {"classifiers": []},
        "examples": {"classifiers": {"T_R": "models/trained/T_R.safetensors"}},
    }
    (folder / "profiles" / "day.yaml").write_text(yaml.safe_dump(overlay))
    (folder / "params.yaml").write_text(compose(folder / "profiles" / "day.yaml"))
    (folder / "dvc.lock").unlink()  # so that it names what this clone has run, and nothing else
    git(folder, "checkout", "-q", "-B", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "A small profile")
    return folder


@pytest.mark.slow
def test_every_command_of_the_page_works_in_a_fresh_clone(clone):
    printed = {}
    for command in commands():
        done = subprocess.run(
            command, shell=True, cwd=clone, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        printed.setdefault(command, []).append(done.stdout)
        if command.startswith("dvc repro"):
            git(clone, "commit", "-qam", "A run on the small profile", "--allow-empty")
    first, again = printed["dvc repro summarize"]
    assert "Running stage 'train@T_R'" in first
    assert "Running stage" not in again
    (run,) = printed["dvc exp run --name beta-3 -S variants.T_R.trades.beta=3 summarize"]
    ran = set(re.findall("Running stage '(.*)'", run))
    assert ran >= {"train@T_R", "attack@T_R", "summarize"}
    assert not ran & {"prepare", "index", "certify", "search@T_B", "train@T_B"}
    (table,) = (shown for command, (shown, *_) in printed.items() if command.startswith("dvc exp show"))
    for name in ("beta-3", "beta-9", "wide", "T_R.test.L2_robust_accuracy", "variants.T_R.trades.beta"):
        assert name in table
    assert "epsilon" not in table, "only the columns that matter"
    (differing,) = printed["dvc params diff main beta-3"]
    assert re.search(r"variants\.T_R\.trades\.beta\s+\S+\s+3\b", differing)
    assert "1NN" not in printed["dvc metrics diff main beta-3"][0], "what does not depend on beta is as it was"
    assert (clone / "dvc_plots" / "index.html").exists()
    (said,) = (shown for command, (shown, *_) in printed.items() if command.startswith("python "))
    beta, measures, n_experiments = said.splitlines()
    assert (beta, n_experiments) == ("3", "3")
    assert "L2_robust_accuracy" in measures
