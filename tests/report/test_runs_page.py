"""The page over published runs: one leaderboard for what can be compared, and each run with its files."""

import re

import pandas as pd
import pytest

from made.project import ROOT
from nnrobust.report.runs_page import boards, runs_page
from nnrobust.runtime.outputs import write_csv, write_json

LINF, L2 = 0.031373, 1.738843


def run(folder, name, classifiers, data="cifar10", linf=LINF):
    """A published run: by classifier, its kind, pairs and robust accuracy."""
    rows, unions = [], []
    for classifier, (kind, pairs, accuracy) in classifiers.items():
        method = "exact" if kind == "exact" else "apgd-ce"
        for pair in pairs:
            about = {"classifier": classifier, "pair": pair, "split": "test", "kind": kind}
            counts = {"n": 100, "n_correct": 90, "n_robust": int(100 * accuracy), "clean_accuracy": 0.9}
            for norm, epsilon in (("Linf", linf), ("L2", L2)):
                rows.append(
                    {**about, "norm": norm, "epsilon": epsilon, "method": method, **counts, "robust_accuracy": accuracy}
                )
            unions.append({**about, "n": 100, "n_robust": int(100 * accuracy), "robust_accuracy": accuracy})
    out = folder / name
    write_csv(out / "pairs.csv", pd.DataFrame(rows))
    write_csv(out / "unions.csv", pd.DataFrame(unions))
    write_json(out / "summary.json", {})
    write_json(out / "claims.json", [{"id": "a", "verdict": "holds", "setting": "made <here>"}])
    write_json(out / "provenance.json", {"commit": "0123456789", "data": {"name": data}, "note": "by hand."})
    return out


def test_only_what_has_the_same_data_and_epsilons_is_on_one_leaderboard(tmp_path):
    one = run(tmp_path, "one", {"1NN": ("exact", ["0-1"], 0.5)})
    same = run(tmp_path, "same", {"T_R": ("attacked", ["0-1"], 0.6)})
    other_size = run(tmp_path, "other_size", {"T_R": ("attacked", ["0-1"], 0.7)}, linf=0.1)
    other_data = run(tmp_path, "other_data", {"T_R": ("attacked", ["0-1"], 0.8)}, data="digits")
    found = {board.title: board.rows["classifier"].tolist() for board in boards([one, same, other_size, other_data])}
    assert found == {
        "cifar10, Linf 8/255 and L2 1.739": ["T_R", "1NN"],
        "cifar10, Linf 0.1 and L2 1.739": ["T_R"],
        "digits, Linf 8/255 and L2 1.739": ["T_R"],
    }


def test_equal_rows_are_one_with_both_runs_and_a_mean_over_fewer_pairs_stands_apart(tmp_path):
    first = run(tmp_path, "first", {"1NN": ("exact", ["0-1", "0-2"], 0.5), "few": ("attacked", ["0-1"], 0.9)})
    second = run(tmp_path, "second", {"1NN": ("exact", ["0-1", "0-2"], 0.5)})
    (board,) = boards([first, second])
    (_, whole), (words, partial) = board.on("pairs")
    assert whole[["classifier", "runs"]].to_numpy().tolist() == [["1NN", "first, second"]]
    assert (words.split(",")[0], partial["classifier"].tolist()) == ("on fewer pairs", ["few"])


def test_the_page_names_each_run_with_its_verdicts_and_files_escaped(tmp_path):
    page = runs_page([run(tmp_path, "one", {"1NN": ("exact", ["0-1"], 0.5)})])
    assert "made &lt;here&gt;" in page
    assert "1 holds, 0 fails" in page
    assert re.search(r'<a href="one/pairs.csv">', page)
    assert "by hand.</p>" in page


def test_a_number_says_its_kind_beside_it(tmp_path):
    page = runs_page([run(tmp_path, "one", {"1NN": ("exact", ["0-1"], 0.5), "T_R": ("attacked", ["0-1"], 0.6)})])
    rows = dict(re.findall(r'<tr class="(\w+)"><th scope="row">(.*?)</th>', page))
    assert rows == {"exact": "1NN", "attacked": "T_<wbr>R"}


def test_a_name_breaks_where_its_words_do_and_a_model_of_all_classes_has_its_own_on_pairs(tmp_path):
    page = runs_page(
        [run(tmp_path, "one", {"a_net|pairs": ("attacked", ["0-1"], 0.5), "a<b": ("exact", ["0-1"], 0.4)})]
    )
    assert re.findall(r'<th scope="row">(.*?)</th>', page) == ["a_<wbr>net", "a&lt;b"]


@pytest.mark.slow
def test_the_published_page_is_that_of_the_published_runs():
    folders = sorted(path.parent for path in (ROOT / "results").glob("*/claims.json"))
    assert (ROOT / "results" / "index.html").read_text(encoding="utf-8") == runs_page(folders)
