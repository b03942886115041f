"""The choice of hyperparameters for each network: the settings of a grid, tried by successive halving on held-out images.

Optuna walks the grid, judges who goes on, and keeps the journal of all trials; a search that was killed goes on in it, and one
with more trials adds to it.
"""

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from nnrobust.config.recipes import Setting
from nnrobust.data.datasets import Problem
from nnrobust.errors import DataWarning
from nnrobust.runtime.progress import Progress, silent
from nnrobust.runtime.store import fingerprint
from nnrobust.training.halving import SearchPlan
from nnrobust.training.journal import HashedJournal

AS_IN_PARAMS = "as in params.yaml"
"""The fingerprint of a variant that is not searched."""
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Request:
    """One training that a trial asks for; `is_last`: none with more epochs follows, so its test accuracy is wanted too."""

    pair: Problem
    setting: Setting
    epochs: int
    is_last: bool


@dataclass(frozen=True)
class Score:
    """Result of one training: accuracies on held-out images, and on test images where wanted; failure."""

    clean_accuracy: float
    robust_accuracy: float
    test_clean_accuracy: float | None
    test_robust_accuracy: float | None
    failure: str | None


class Evaluate(Protocol):
    """Trains and scores settings."""

    def __call__(self, requests: list[Request]) -> list[Score]:
        """The score of each request."""

    def forget(self, requests: list[Request]) -> None:
        """Drops the networks of requests whose scores are in the journal."""


class _Grid(optuna.samplers.GridSampler):
    """Optuna's grid, each point once in an order drawn by the seed; it does not stop the study, whose trials are counted here."""

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        return None


class ProblemSearch:
    """The trials of one problem, in a journal. `key` is a fingerprint of all that determines them beside the plan."""

    def __init__(self, pair: Problem, key: str, plan: SearchPlan, journal: JournalStorage) -> None:
        self.pair, self.plan = pair, plan
        entropy = np.random.SeedSequence([plan.seed, *pair.class_ids().tolist()]).generate_state(1)
        self.study = optuna.create_study(
            storage=journal,
            sampler=_Grid(plan.space, seed=int(entropy[0])),
            pruner=optuna.pruners.SuccessiveHalvingPruner(plan.min_epochs, plan.reduction_factor, 0),
            study_name=f"{pair} {fingerprint(key, {**asdict(plan), 'n_trials': 0, 'n_at_once': 0})}",
            direction="maximize",
            load_if_exists=True,
        )
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self.live = [self._under_way(begun) for begun in running]
        self.live = [trial for trial in self.live if self._reports(trial) == [] or not self._settled(trial)]

    @property
    def round(self) -> int:
        """The number of times that this problem has been told scores."""
        return int(self.study.user_attrs.get("round", 0))

    @property
    def n_missing(self) -> int:
        return max(0, self.plan.n_trials - len(self.study.get_trials(deepcopy=False)))

    def requests(self) -> list[Request]:
        """The next training of each trial under way; new trials begin when none is."""
        if not self.live:
            self.live = [self._begun() for _ in range(min(self.plan.n_at_once, self.n_missing))]
        wanted = []
        for trial in self.live:
            setting = Setting(**trial.params)
            budget = self.plan.next_budget(setting, self._reports(trial))
            wanted.append(Request(self.pair, setting, budget, budget == self.plan.limit(setting)))
        return wanted

    def tell(self, requests: list[Request], scores: list[Score]) -> None:
        """Takes the scores of `requests`; trials that are over leave."""
        for trial, request, score in zip(self.live, requests, scores, strict=True):
            for name, value in asdict(score).items():
                trial.set_user_attr(name, value)
            trial.report(0.0 if score.failure else score.robust_accuracy, request.epochs)
        self.live = [trial for trial in self.live if not self._settled(trial)]
        self.study.set_user_attr("round", self.round + 1)

    def _begun(self) -> Trial:
        number = self.study.ask().number
        return self._under_way(self.study.get_trials(deepcopy=False)[number])

    def _under_way(self, begun: FrozenTrial) -> Trial:
        """A trial that has a setting: also one that a killed search had begun, and not yet given all of it."""
        self.study.sampler.before_trial(self.study, begun)
        trial = Trial(self.study, begun._trial_id)
        for name, choices in self.plan.space.items():
            trial.suggest_categorical(name, choices)
        return trial

    def _reports(self, trial: Trial) -> list[int]:
        """The epochs of each of a trial's trainings so far."""
        return sorted(self.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def _settled(self, trial: Trial) -> bool:
        """Whether the trial is over after its last report, which then is noted; a failed training counts as a score of 0."""
        if self._reports(trial)[-1] >= self.plan.limit(Setting(**trial.params)):
            is_failed = trial.user_attrs["failure"]
            self.study.tell(trial, *((None, TrialState.FAIL) if is_failed else (trial.user_attrs["robust_accuracy"],)))
        elif trial.should_prune():
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            return False
        return True

    def table(self) -> pd.DataFrame:
        """One row for each trial."""
        measured = [field.name for field in fields(Score) if field.name != "failure"]
        return pd.DataFrame(
            {
                "trial": trial.number,
                "pair": str(self.pair),
                **trial.params,
                "state": STATES[trial.state],
                "failure": trial.user_attrs["failure"] or "",
                "epochs_trained": sum(trial.intermediate_values),
                **{name: trial.user_attrs[name] for name in measured},
            }
            for trial in self.study.get_trials(deepcopy=False)
        )


def _begun(keys: dict[Problem, str], plan: SearchPlan, journal: Path) -> list[ProblemSearch]:
    """The search of each problem, as far as the journal has it; a damaged one is deleted, and its trials are to be made again.

    Warns:
        DataWarning: naming that file.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = JournalStorage(HashedJournal(journal))
        return [ProblemSearch(pair, key, plan, storage) for pair, key in keys.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if not journal.stat().st_size:
            raise
        journal.unlink()
        warnings.warn(
            f"{journal}: was damaged ({error}), and is deleted; its trials are made again", DataWarning, stacklevel=3
        )
        return _begun(keys, plan, journal)


def search(
    keys: dict[Problem, str], plan: SearchPlan, evaluate: Evaluate, journal: Path | str, progress: Progress = silent
) -> pd.DataFrame:
    """The table of all trials of all problems: setting, state, budget, accuracies on held-out images.

    Columns: trial, pair, the fields of `Setting`, state (complete, pruned, failed), failure, epochs_trained (over all its
    trainings), clean_accuracy, robust_accuracy, and of complete trials test_clean_accuracy and test_robust_accuracy.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searches = _begun(keys, plan, Path(journal))
    n_left = sum(len(part.live) + part.n_missing for part in searches)
    ticks = iter(progress(range(n_left), "search"))
    next(ticks, None)
    while unfinished := [part for part in searches if part.live or part.n_missing]:
        # Pairs that a killed search left behind catch up first: so the same networks are trained side by side as without a kill.
        rounds = [part.round for part in unfinished]
        waiting = [part for part, number in zip(unfinished, rounds, strict=True) if number == min(rounds)]
        wanted = [part.requests() for part in waiting]
        scores = iter(evaluate([request for requests in wanted for request in requests]))
        for part, requests in zip(waiting, wanted, strict=True):
            part.tell(requests, [next(scores) for _ in requests])
            evaluate.forget(requests)
            for _ in range(len(requests) - len(part.live)):
                next(ticks, None)
    return pd.concat([part.table() for part in searches], ignore_index=True)


def choose(trials: pd.DataFrame, split: str = "") -> pd.DataFrame:
    """The best complete trial of each pair, a row each: highest robust, then highest clean accuracy, then the first tried.

    On held-out images. With `split` "test_" on test images, by which nobody may choose: the result shows how optimistic that is.
    Where no trial is complete, the best failed one is returned: its setting then fails in training, which reports it.
    """
    order = trials.assign(is_complete=trials["state"] == "complete").sort_values(
        ["is_complete", f"{split}robust_accuracy", f"{split}clean_accuracy", "trial"],
        ascending=[False, False, False, True],
        kind="stable",
    )
    best = order.drop_duplicates("pair").set_index("pair")
    return best.loc[trials["pair"].unique()].reset_index()


def settings_of(chosen: pd.DataFrame) -> dict[str, Setting]:
    """The setting in each row, by pair."""
    names = [field.name for field in fields(Setting)]
    rows = chosen.set_index("pair")[names].astype(object)
    return {
        str(pair): Setting(**{name: getattr(value, "item", lambda v=value: v)() for name, value in row.items()})
        for pair, row in rows.iterrows()
    }


def outcome(variants: list[str], searched: str, trials: pd.DataFrame) -> dict[str, object]:
    """The input of `train`: each pair's setting, and for each variant a fingerprint that says when to train anew."""
    settings = {pair: asdict(setting) for pair, setting in settings_of(choose(trials)).items()}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return {
        "fingerprints": {name: digest if name == searched else AS_IN_PARAMS for name in variants},
        "settings": settings,
    }


def optimism(trials: pd.DataFrame, n_decimals: int) -> dict[str, dict[str, float]]:
    """Test accuracies, means over pairs under the search's own attack: of the trials `chosen` on held-out images, and
    (`optimistic`, no result) of those that the test images themselves would have chosen."""
    names = ("test_clean_accuracy", "test_robust_accuracy")
    return {
        how: {name: round(float(best[name].mean()), n_decimals) for name in names}
        for how, best in (("chosen", choose(trials)), ("optimistic", choose(trials, "test_")))
    }
