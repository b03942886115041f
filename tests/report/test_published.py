"""Published runs: what is kept, the page over all of them, and two side by side."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from made.project import ROOT
from nnrobust.errors import RecordError
from nnrobust.report.published import as_markdown, compared, flat, publish_run, runs_table
from nnrobust.runtime.outputs import write_csv, write_json

PNG = b"\x89PNG\r\n\x1a\n"


def finished(folder, l2=0.2, verdict="holds"):
    """The metrics and plots of a finished run: 1NN, and two networks of which T_B is better in both norms together, and one of fewer pairs."""
    metrics, plots = folder / "metrics", folder / "plots"
    plots.mkdir(parents=True)
    nearest = {"clean_accuracy": 0.75, "Linf_exact_accuracy": 0.3, "L2_exact_accuracy": l2}
    networks = {
        "S": {"clean_accuracy": 0.9, "Linf_robust_accuracy": 0.1, "L2_robust_accuracy": 0.2},
        "T_B": {"clean_accuracy": 0.8, "Linf_robust_accuracy": 0.5, "L2_robust_accuracy": 0.1},
        "T_R": {"clean_accuracy": 0.9, "Linf_robust_accuracy": 0.9, "L2_robust_accuracy": 0.9},
    }
    summary = {"1NN": {"test": nearest}} | {name: {"n_pairs": 45, "test": one} for name, one in networks.items()}
    write_json(metrics / "summary.json", summary)
    claims = [{"id": "a", "verdict": verdict, "setting": "made"}, {"id": "b", "verdict": "fails", "setting": "made"}]
    write_json(metrics / "claims.json", claims)
    write_json(metrics / "search.json", {"of": "an earlier run, in which settings were searched"})
    for name in ("claims", "pairs"):
        write_csv(metrics / f"{name}.csv", pd.DataFrame({"x": [1]}))
    write_csv(
        metrics / "means.csv", pd.DataFrame({"classifier": ["1NN", "S", "T_B", "T_R"], "n_pairs": [45, 45, 45, 2]})
    )
    write_csv(metrics / "zoo.csv", pd.DataFrame(columns=["x"]))
    (plots / "figure_4.png").write_bytes(PNG)
    (plots / "figure_4.pdf").write_bytes(b"%PDF")
    return metrics, plots


def write_provenance(folder):
    write_json(folder / "provenance.json", {"commit": "0123456789"})


def published(folder, name, **about):
    metrics, plots = finished(folder / f"{name}.run", **about)
    publish_run(metrics, plots, {"params.yaml": ROOT / "params.yaml"}, write_provenance, folder / name)
    return folder / name


def test_a_published_run_has_its_tables_with_rows_its_pictures_and_the_files_named(tmp_path):
    out = published(tmp_path, "one")
    assert sorted(path.name for path in out.iterdir()) == [
        "claims.csv", "claims.json", "figure_4.png", "means.csv", "pairs.csv", "params.yaml", "provenance.json", "summary.json",
    ]  # fmt: skip
    assert json.loads((out / "provenance.json").read_text()) == {"commit": "0123456789"}


def test_the_records_that_a_campaign_left_stay_where_a_run_is_published_again(tmp_path):
    out = published(tmp_path, "one")
    (out / "records").mkdir()
    (out / "records" / "S.parquet").write_bytes(b"PAR1")
    (out / "stale.csv").write_text("")
    metrics, plots = finished(tmp_path / "again")
    publish_run(metrics, plots, {}, write_provenance, out)
    assert (out / "records" / "S.parquet").read_bytes() == b"PAR1"
    assert not (out / "stale.csv").exists()


def test_a_run_without_claims_is_not_published_and_leaves_what_was_there(tmp_path):
    out = published(tmp_path, "one")
    metrics, plots = finished(tmp_path / "unfinished")
    (metrics / "claims.json").unlink()
    with pytest.raises(
        RecordError, match=r"claims\.json: expected this file of a finished run, found none; run `dvc repro`"
    ):
        publish_run(metrics, plots, {}, write_provenance, out)
    assert (out / "params.yaml").exists()


def test_a_missing_file_named_beside_the_run_leaves_nothing(tmp_path):
    metrics, plots = finished(tmp_path / "run")
    with pytest.raises(RecordError, match="absent"):
        publish_run(metrics, plots, {"report.html": tmp_path / "absent"}, write_provenance, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_runs_are_compared_number_by_number_and_claim_by_claim(tmp_path):
    one, other = published(tmp_path, "one"), published(tmp_path, "other", l2=0.25, verdict="cannot tell")
    numbers, verdicts = compared(one, other)
    assert numbers.loc["1NN.test.L2_exact_accuracy"].tolist() == [0.2, 0.25, 0.05]
    assert (numbers.drop("1NN.test.L2_exact_accuracy")["difference"] == 0).all()
    assert verdicts.to_dict("index") == {"a": {"one": "holds", "other": "cannot tell"}}


def test_a_number_that_one_run_lacks_stands_without_a_difference(tmp_path):
    one, other = published(tmp_path, "one"), published(tmp_path, "other")
    summary = json.loads((other / "summary.json").read_text())
    del summary["S"]
    write_json(other / "summary.json", summary)
    numbers, _ = compared(one, other)
    assert numbers.loc["S.test.clean_accuracy"].isna().tolist() == [False, True, True]


def test_what_is_no_published_run_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"nowhere/summary\.json: expected this file"):
        compared(tmp_path / "nowhere", tmp_path)


def test_the_overview_has_1nn_exact_the_best_network_attacked_and_the_verdicts_counted(tmp_path):
    table = runs_table([published(tmp_path, "one")])
    row = table.iloc[0]
    assert row["1NN clean / Linf / L2 (exact)"] == "75.0 / 30.0 / 20.0"
    assert row["best network clean / Linf / L2 (attacked)"] == "T_B 80.0 / 50.0 / 10.0 (45 pairs)"
    assert row["claims: holds / fails / cannot tell / not run"] == "1 / 1 / 0 / 0"
    assert as_markdown(table).splitlines()[2].startswith("| [one](one/) | made | 0123456 |")


def test_nested_numbers_are_joined_by_dots():
    assert flat({"a": {"b": 1, "c": {"d": 2.5}}, "e": 3}) == {"a.b": 1.0, "a.c.d": 2.5, "e": 3.0}


@pytest.mark.slow
def test_the_command_compares_the_runs_in_results_and_refuses_others():
    def compare(*names):
        command = [sys.executable, str(ROOT / "scripts" / "compare.py"), *names]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    runs = sorted(path.parent.name for path in (ROOT / "results").glob("*/claims.json"))
    same = compare(runs[0], runs[0])
    assert same.returncode == 0, same.stderr
    assert "0 claims judged differently" in same.stdout
    other = compare(runs[0], "nothing")
    assert other.returncode == 1
    assert "RecordError" in other.stderr
    assert compare().returncode == 1


def test_the_page_of_published_runs_lists_every_one_of_them():
    page = (ROOT / "results" / "README.md").read_text()
    runs = {path.parent.name for path in (ROOT / "results").glob("*/provenance.json")}
    assert runs
    assert all(f"[{name}]({name}/)" in page for name in runs)


def test_a_bar_in_a_cell_ends_no_column():
    table = pd.DataFrame({"run": ["one"], "best": ["resnet2b|pairs 90.0"]})
    assert as_markdown(table).splitlines()[2] == r"| one | resnet2b\|pairs 90.0 |"


def in_git(*command):
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(
    in_git("rev-parse", "--is-shallow-repository").stdout.strip() != "false", reason="here is no whole history of git"
)
def test_every_commit_that_a_published_run_names_is_in_the_history():
    named = {
        (path.relative_to(ROOT).as_posix(), commit)
        for path in sorted((ROOT / "results").rglob("provenance.json"))
        for commit in re.findall(r'"commit": "([^" ]*)', path.read_text(encoding="utf-8"))
    }
    assert len(named) >= 10
    # Of the history of HEAD: a commit that was amended away is still an object where it was made, and in no clone.
    history = set(in_git("rev-list", "HEAD").stdout.split())
    assert [(path, commit) for path, commit in sorted(named) if commit not in history] == []
