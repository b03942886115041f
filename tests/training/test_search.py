"""The search on scores that are known, killed and resumed; and its choice."""

import json
import random
from dataclasses import asdict, replace

import pandas as pd
import pytest

from nnrobust.config.blocks import Space
from nnrobust.config.recipes import Setting
from nnrobust.data.datasets import AllClasses, Pair
from nnrobust.errors import DataWarning
from nnrobust.training.halving import SearchPlan
from nnrobust.training.journal import HashedJournal
from nnrobust.training.search import (
    AS_IN_PARAMS,
    ProblemSearch,
    Score,
    choose,
    optimism,
    outcome,
    search,
    settings_of,
)

SPACE = {
    "beta": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "epsilon": [0.1, 0.2], "steps": [10], "relative_step_size": [0.25],
    "learning_rate": [0.1], "weight_decay": [5e-4], "epochs": [20], "batch_size": [50], "augment": [False],
}  # fmt: skip
PLAN = SearchPlan(SPACE, n_trials=12, n_at_once=2, min_epochs=2, max_epochs=18, reduction_factor=3, seed=0)
PAIRS = {Pair(0, 1): "a", Pair(0, 2): "b"}


class KilledError(Exception):
    pass


class Scorer:
    """Scores that grow with beta and epochs; on test images the other way round. Notes all requests; dies at the nth."""

    def __init__(self, dies_at=None, failing=()):
        self.requests, self.calls, self.forgotten, self.dies_at, self.failing = [], [], [], dies_at, failing

    def __call__(self, requests):
        scores = []
        self.calls.append(requests)
        for one in requests:
            self.requests.append((str(one.pair), one.setting, one.epochs))
            if len(self.requests) == self.dies_at:
                raise KilledError
            robust = one.setting.beta / 10 + one.epochs / 100 + one.setting.epsilon / 100
            test = 1 - robust if one.is_last else None
            failure = "trouble" if one.setting.beta in self.failing else None
            scores.append(Score(0.9, robust, test, test, failure))
        return scores

    def forget(self, requests):
        self.forgotten += requests


def tried(scorer):
    return {(pair, setting) for pair, setting, _ in scorer.requests}


LOGS = [{"op_code": n, "values": {3: 0.1 * n, "text": "é"}, "state": None} for n in range(6)]


def test_a_flipped_bit_in_the_journal_is_an_error_or_cuts_its_last_lines_off(tmp_path):
    path, generator = tmp_path / "journal", random.Random(0)
    HashedJournal(path).append_logs(LOGS)
    whole, as_read = path.read_bytes(), json.loads(json.dumps(LOGS))
    assert list(HashedJournal(path).read_logs(0)) == as_read
    n_refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            found = list(HashedJournal(path).read_logs(0))
            assert found == as_read[: len(found)]
        except ValueError:
            n_refused += 1
    assert n_refused > 150


@pytest.mark.parametrize("n_cut", [1, 2, 30])
def test_a_last_line_that_was_cut_off_is_removed_and_what_is_added_is_read(tmp_path, n_cut):
    path = tmp_path / "journal"
    HashedJournal(path).append_logs(LOGS)
    path.write_bytes(path.read_bytes()[:-n_cut])
    HashedJournal(path).append_logs(LOGS[:1])
    assert [log["op_code"] for log in HashedJournal(path).read_logs(0)] == [0, 1, 2, 3, 4, 0]


def test_a_damaged_journal_is_named_and_its_trials_are_made_again(tmp_path):
    plan, pairs, path, scorer = replace(PLAN, n_trials=2), {Pair(0, 1): "a"}, tmp_path / "journal", Scorer()
    expected = search(pairs, plan, Scorer(), path)
    path.write_bytes(path.read_bytes().replace(b"0.9", b"0.8", 1))
    with pytest.warns(DataWarning, match="journal: was damaged .*, and is deleted; its trials are made again"):
        pd.testing.assert_frame_equal(search(pairs, plan, scorer, path), expected)
    assert len(tried(scorer)) == 2


def test_every_setting_of_the_space_is_tried_once_for_every_pair(tmp_path):
    scorer = Scorer()
    table = search(PAIRS, PLAN, scorer, tmp_path / "journal")
    settings = Space(**SPACE).settings()
    assert len(settings) == 12
    assert tried(scorer) == {(str(pair), setting) for pair in PAIRS for setting in settings}
    assert len(scorer.requests) == len(set(scorer.requests)) == len(scorer.forgotten)
    assert table.groupby("pair")["trial"].apply(list).tolist() == [list(range(12))] * 2
    assert [setting.beta for setting in settings_of(choose(table)).values()] == [6.0, 6.0]


def test_one_network_of_all_classes_has_one_search(tmp_path):
    table = search({AllClasses(3): "a"}, PLAN, Scorer(), tmp_path / "journal")
    assert table["pair"].tolist() == ["all"] * 12
    assert [(name, setting.beta) for name, setting in settings_of(choose(table)).items()] == [("all", 6.0)]


@pytest.mark.slow
def test_budgets_grow_by_the_factor_and_few_settings_get_the_whole_one(tmp_path):
    scorer = Scorer()
    table = search(PAIRS, PLAN, scorer, tmp_path / "journal")
    n_of = pd.Series([epochs for _, _, epochs in scorer.requests]).value_counts()
    assert sorted(n_of.index) == [2, 6, 18]
    assert n_of[2] == 24
    assert n_of[18] < n_of[6] < n_of[2]
    assert (table["state"] == "complete").sum() == n_of[18]
    assert table.loc[table["state"] == "complete", "epochs_trained"].unique().tolist() == [26]
    assert table.loc[table["state"] == "pruned", "test_robust_accuracy"].isna().all()


@pytest.mark.slow
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4, 7, 11, 20, 30])
def test_a_killed_search_goes_on_in_its_journal_to_the_same_table(tmp_path, dies_at):
    whole, first, second = Scorer(), Scorer(dies_at), Scorer()
    undisturbed = search(PAIRS, PLAN, whole, tmp_path / "whole")
    with pytest.raises(KilledError):
        search(PAIRS, PLAN, first, tmp_path / "journal")
    table = search(PAIRS, PLAN, second, tmp_path / "journal")
    pd.testing.assert_frame_equal(table, undisturbed)
    # What was told is not asked again; at most the last round, one training of two trials of each pair, is.
    assert len(set(first.requests) & set(second.requests)) <= 4


@pytest.mark.slow
@pytest.mark.parametrize("dies_at", [1, 2, 5, 10])
def test_pairs_that_a_kill_left_behind_catch_up_before_others_go_on(tmp_path, monkeypatch, dies_at):
    """Killed after one pair was told its scores and before the next: later rounds ask for the same trainings side by side."""
    whole, first, second = Scorer(), Scorer(), Scorer()
    undisturbed = search(PAIRS, PLAN, whole, tmp_path / "whole")
    told, tell = [], ProblemSearch.tell

    def killed(self, *arguments):
        told.append(self.pair)
        if len(told) == dies_at + 1:
            raise KilledError
        tell(self, *arguments)

    monkeypatch.setattr(ProblemSearch, "tell", killed)
    with pytest.raises(KilledError):
        search(PAIRS, PLAN, first, tmp_path / "journal")
    monkeypatch.undo()
    table = search(PAIRS, PLAN, second, tmp_path / "journal")
    pd.testing.assert_frame_equal(table, undisturbed)
    later = len(second.calls) - 1
    assert second.calls[1:] == whole.calls[len(whole.calls) - later :]


@pytest.mark.slow
def test_a_second_search_with_more_trials_adds_to_the_first(tmp_path):
    few = SearchPlan(**(asdict(PLAN) | {"n_trials": 4}))
    first, second = Scorer(), Scorer()
    some = search(PAIRS, few, first, tmp_path / "journal")
    assert some.groupby("pair").size().tolist() == [4, 4]
    everything = search(PAIRS, PLAN, second, tmp_path / "journal")
    assert everything.groupby("pair").size().tolist() == [12, 12]
    assert not tried(first) & tried(second)
    kept = everything[everything["trial"] < 4].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, some)
    third = Scorer()
    search(PAIRS, PLAN, third, tmp_path / "journal")
    assert third.requests == []


@pytest.mark.slow
def test_other_data_or_code_is_another_search(tmp_path):
    search(PAIRS, PLAN, Scorer(), tmp_path / "journal")
    scorer = Scorer()
    search({Pair(0, 1): "a", Pair(0, 2): "changed"}, PLAN, scorer, tmp_path / "journal")
    assert {pair for pair, _, _ in scorer.requests} == {"0-2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"max_epochs": 20}, {"space": SPACE | {"beta": [1.0, 9.0]}, "n_trials": 4}, {"seed": 1}]
)
def test_another_plan_is_another_search(tmp_path, change):
    search(PAIRS, PLAN, Scorer(), tmp_path / "journal")
    other, scorer = SearchPlan(**(asdict(PLAN) | change)), Scorer()
    table = search(PAIRS, other, scorer, tmp_path / "journal")
    assert len(table) == 2 * other.n_trials
    assert tried(scorer) == {(pair, setting) for pair, setting, _ in scorer.requests}
    assert len(scorer.requests) >= len(table)


@pytest.mark.slow
def test_failed_trainings_score_nothing_and_are_in_the_table_and_not_chosen(tmp_path):
    table = search(PAIRS, PLAN, Scorer(failing=(6.0,)), tmp_path / "journal")
    best = choose(table)
    assert best["beta"].tolist() == [5.0, 5.0]
    assert (table.loc[table["beta"] == 6.0, "failure"] == "trouble").all()
    everything = search({Pair(0, 1): "x"}, PLAN, Scorer(failing=tuple(SPACE["beta"])), tmp_path / "journal")
    assert "complete" not in set(everything["state"])
    assert len(settings_of(choose(everything))) == 1


def test_a_budget_never_exceeds_the_settings_own_epochs():
    short = Setting(**{name: values[0] for name, values in (SPACE | {"epochs": [5]}).items()})
    assert [PLAN.next_budget(short, spent) for spent in ([], [2])] == [2, 5]
    assert PLAN.limit(short) == 5


def trials(rows):
    setting = {name: values[0] for name, values in SPACE.items()}
    return pd.DataFrame(
        [
            {"trial": t, "pair": p, **setting, "beta": float(t), "state": s, "clean_accuracy": c, "robust_accuracy": r,
             "test_clean_accuracy": c, "test_robust_accuracy": 1 - r}
            for t, p, s, c, r in rows
        ]
    )  # fmt: skip


def test_the_best_setting_is_the_most_robust_then_the_most_accurate_then_the_first_of_those_complete():
    table = trials([
        (0, "0-1", "complete", 0.9, 0.5), (1, "0-1", "complete", 0.8, 0.6), (2, "0-1", "complete", 0.9, 0.6),
        (3, "0-1", "complete", 0.9, 0.6), (4, "0-1", "pruned", 0.9, 0.9),
        (0, "0-2", "complete", 0.9, 0.7), (1, "0-2", "complete", 0.9, 0.1),
    ])  # fmt: skip
    assert choose(table)["beta"].tolist() == [2.0, 0.0]
    numbers = optimism(table, 3)
    assert numbers["chosen"]["test_robust_accuracy"] == pytest.approx((0.4 + 0.3) / 2)
    assert numbers["optimistic"]["test_robust_accuracy"] == pytest.approx((0.5 + 0.9) / 2)


def test_the_outcome_changes_the_fingerprint_of_the_searched_variant_alone():
    one, other = (outcome(["S", "T_B"], "T_B", trials([(beta, "0-1", "complete", 0.9, 0.5)])) for beta in (1, 2))
    assert one["fingerprints"]["S"] == other["fingerprints"]["S"] == AS_IN_PARAMS
    assert one["fingerprints"]["T_B"] != other["fingerprints"]["T_B"]
    assert Setting(**one["settings"]["0-1"]).beta == 1.0
