"""Workflows of GitHub's, hooks and forms: each step is a command that is here."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from made.project import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COMMANDS = ("make ", "gh pr comment ", "cat difference.md ")


def jobs_of(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def steps():
    return [step for path in WORKFLOWS for job in jobs_of(path).values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_says_when_it_runs_what_it_may_do_and_how_long(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content[True], "`on`, which YAML 1.1 reads as true"
    assert content["permissions"] == {"contents": "read"}
    for job in jobs_of(path).values():
        assert job["timeout-minutes"] <= 120
        assert job["steps"][0]["uses"].startswith("actions/checkout@")


def test_every_step_uses_a_released_action_or_runs_a_target_of_the_makefile():
    targets = set(re.search(r"\.PHONY: (.*)", (ROOT / "Makefile").read_text()).group(1).split())
    named = set()
    for step in steps():
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]), step
            continue
        assert step["run"].startswith(COMMANDS), step
        named |= set(re.findall(r"^make ([a-z]+)", step["run"]))
    assert named <= targets
    assert {"lint", "test", "docs", "wheel", "repro", "profile", "difference", "audit", "licences"} <= named


@pytest.mark.parametrize("step", [step["run"] for step in steps() if step.get("run", "").startswith("make ")])
def test_make_knows_what_each_step_would_do(step):
    command = [*step.replace('"$BASE"', "main").split(), "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_step_puts_texts_of_a_pull_request_into_a_shell():
    for step in steps():
        assert "${{" not in step.get("run", ""), step


def test_tests_run_on_every_python_that_the_package_names():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    matrix = jobs_of(ROOT / ".github" / "workflows" / "checks.yml")["tests"]["strategy"]["matrix"]["python"]
    assert matrix == named
    assert f'requires-python = ">={matrix[0]}"' in project


def test_hooks_before_a_commit_are_what_make_lint_runs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"].split() for repository in config["repos"] for hook in repository["hooks"]]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlint:")[1].split("\n\n")[0]
    for entry in hooks:
        assert entry[0] in lint, entry
    assert {entry[0] for entry in hooks} == {"ruff", "mypy", "lint-imports"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_a_form_has_what_its_format_requires(path: Path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    fields = [one for one in form["body"] if one["type"] != "markdown"]
    assert len({one["id"] for one in fields}) == len(fields)
    for one in form["body"]:
        assert one["type"] in {"markdown", "input", "textarea", "dropdown", "checkboxes"}
        assert set(one["attributes"]) <= {"value", "label", "description", "placeholder", "options", "render"}
