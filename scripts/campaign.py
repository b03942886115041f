"""Trains and attacks the networks of a profile, in order of value, until the budget is spent: on a CPU or a GPU, call after call.

    make campaign PROFILE=cifar10-small BUDGET=8h [OUT=results/NAME/records]
    python scripts/campaign.py PROFILE --budget 8h --out DIR [--images PATH] [--benchmark] [--resume DIR]

Runs on a bare machine: Python 3.10 or newer, PyTorch, torchvision, pandas, pyarrow, PyYAML, and pytest for the tests; no
network, and neither dvc, faiss, robustbench nor the package itself installed. The images are those of the profile's `data`. In
order: the variants of all classes, each measured on them and on every pair; then pair after pair the other variants; last, and
likewise, the one whose settings are searched, which needs Optuna and is else left out, as the call says and notes. As many
images of each class are attacked as the profile's `attack` says. DIR gets, whole at any time:

    VARIANT.parquet      one row per image and threat model, as in data/records
    training.csv, history.csv   how the training for each pair ended, and each epoch of it
    search_trials.csv, search.journal   each trial of a search, as in metrics; and all of them so far, in Optuna's journal
    provenance.json      device, precision, versions, code, data, recipes, seconds, profile of each call
    benchmark.csv, precision.csv   with --benchmark, which runs the GPU tests too: images a second; bfloat16 against float32

A call on a folder that has files goes on with what is missing; it is refused where data, recipe or code differ. `--resume DIR`
goes on from a copy of another folder. SIGTERM ends a call after the epoch or the attack under way, as the budget does; whatever
kills it, only that is lost, as networks under way are kept in `.work`. `make publish` adds folders up to a published run.
"""

import argparse
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np
import pandas as pd
import torch

from benchmarks.training import FORWARDS, Load, compare
from nnrobust.config.profiles import read_profile
from nnrobust.config.recipes import Recipe
from nnrobust.data.datasets import AllClasses, Dataset, Pair, Problem, select_pairs
from nnrobust.data.read import Request
from nnrobust.experiments.campaign import BudgetSpentError, Campaign
from nnrobust.experiments.plan import Plan, Unit
from nnrobust.experiments.run_folder import calls_of, check_alike, code_hash, data_hash, write_provenance
from nnrobust.runtime.machine import describe, machine, precision_of
from nnrobust.runtime.memory import keep_freed_memory
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.process import one_sentence
from nnrobust.runtime.provenance import commit
from nnrobust.runtime.store import WorkStore, fingerprint
from nnrobust.training.tasks import Row, Task

START = time.monotonic()
HAS_OPTUNA = find_spec("optuna") is not None
FIRST_PAIRS = [("airplane", "automobile"), ("cat", "dog"), ("bird", "horse"), ("deer", "frog")]
TESTS = ["training/test_train", "attacks/test_attack", "nearest/test_estimator"]
TEST_PART = 0.2
"""The part of the budget that the tests may take."""
RESERVE_PART, RESERVE_SECONDS = 0.03, 15.0
"""What is left of the budget for stopping: start-up before the clock runs, and the last file."""
SHORT = 12
"""Epochs of the networks that show what bfloat16 changes."""
GUESS = {"training": 3_000.0 * FORWARDS, "attack": 1_000.0 * FORWARDS}
"""Forward passes of an image a second, until they have been measured."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """The seconds that a budget such as `8h`, `90m` or `1500s` has."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a number with its unit, such as 8h, 90m or 1500s, got {text!r}")
    return float(found[1]) * UNITS[found[2]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", help="a file of profiles/, without its ending, or the path of a parameters file")
    parser.add_argument("--budget", type=seconds_of, required=True, help="wall clock, all included: 8h, 90m, 1500s")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the files; one that has some grows")
    parser.add_argument("--resume", type=Path, help="another folder to go on from; it stays as it is")
    parser.add_argument("--images", help="folder or tar of {train,test}/<class>/ images, instead of the profile's data")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--n-train-per-class", type=int, help="train images attacked, instead of the profile's")
    parser.add_argument("--n-test-per-class", type=int, help="test images attacked, instead of the profile's")
    parser.add_argument("--n-streams", type=int, default=4, help="pairs trained at the same time on a GPU")
    parser.add_argument("--commit", help="of this code, for the provenance, where it is a copy without its repository")
    parser.add_argument("--work", type=Path, default=ROOT / ".work", help="where networks under way are kept")
    parser.add_argument("--benchmark", action="store_true", help="first the GPU tests and benchmarks")
    return parser.parse_args()


def gpu_tests(timeout: float) -> str:
    """The last line of pytest, and what failed."""
    files = [str(ROOT / "tests" / f"{name}.py") for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-k", "gpu",
               "--continue-on-collection-errors", *files]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"stopped after {timeout:.0f} s"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "; ".join([*failed, (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]])


def units(dataset: Dataset, pairs: list[Pair], plan: Plan, n_streams: int) -> list[Unit]:
    """Variants of all classes, on those and on each pair; then, a few pairs at a time, the others; last the searched one.

    The paper's pairs come first.
    """
    names = [pair for pair in FIRST_PAIRS if set(pair) <= set(dataset.classes)]
    first = [Pair(*sorted(dataset.classes.index(name) for name in pair)) for pair in names]
    ordered = sorted(pairs, key=lambda pair: first.index(pair) if pair in first else len(first))
    chunks = [tuple(ordered[start : start + n_streams]) for start in range(0, len(ordered), n_streams)]
    everything, todo = AllClasses(len(dataset.classes)), []
    for is_searched in (False, True):
        names = [name for name in plan.recipes if (plan.search_of(name) is not None) == is_searched]
        whole = [name for name in names if name in plan.of_all_classes]
        todo += [unit for name in whole for unit in (Unit(name, (everything,)), Unit(name, tuple(ordered)))]
        todo += [Unit(name, chunk) for chunk in chunks for name in names if name not in whole]
    return todo


def work_through(campaign: Campaign, todo: list[Unit], rates: dict[str, float]) -> str:
    """Runs what fits into the time left, in order, then begins what does not; says why it stopped."""
    try:
        for is_last_resort in (False, True):
            for unit in todo:
                run_what_fits(campaign, unit, rates, is_last_resort)
    except BudgetSpentError:
        return why_stopped(campaign)
    return "all is done"


def why_stopped(campaign: Campaign) -> str:
    return "a signal ended it" if campaign.is_stopped else "the budget is spent"


def run_what_fits(campaign: Campaign, unit: Unit, rates: dict[str, float], is_last_resort: bool) -> None:
    """The missing problems of a unit, as many at a time as fit; as a last resort one that does not, for later calls."""
    while missing := campaign.missing(unit).problems:
        campaign.check_time()
        training, attack = campaign.seconds_a_problem(unit, rates)
        n_fitting = int((campaign.deadline - time.monotonic()) / (training + attack))
        if n_fitting == 0 and not is_last_resort:
            return
        part, start = replace(unit, problems=missing[: max(1, n_fitting)]), time.monotonic()
        campaign.run(part, 0.0 if is_last_resort else attack)
        print(f"{part.variant} on {', '.join(map(str, part.problems))}: {time.monotonic() - start:.0f} s", flush=True)


def measure(options: argparse.Namespace, dataset: Dataset, campaign: Campaign) -> None:
    """Runs the benchmark, with the first variant's architecture, and keeps it."""
    is_gpu = campaign.machine.device.type == "cuda"
    rows = Pair(0, 1).indices(dataset.train.labels)[: 10_000 if is_gpu else 16]
    images = np.ascontiguousarray(dataset.train.images[rows])
    architecture = next(iter(campaign.plan.recipes.values())).architecture
    load = Load(images, np.arange(len(rows)) % 2, min(128, len(rows) // 2), architecture)
    table = compare(load, campaign.machine, [1, 2, 4, 8] if is_gpu else [1], campaign.deadline)
    write_csv(options.out / "benchmark.csv", table)
    print(table.to_string(index=False), flush=True)


def rates_of(out: Path) -> dict[str, float]:
    """Forward passes of an image a second: training at its best, attacks as in float32; guesses where nothing was measured."""
    path = out / "benchmark.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"way": [], "images_per_second": []})
    ours = table[table["way"].str.startswith("this engine")] if len(table) else table
    exact = ours[ours["way"].str.endswith("float32")] if len(ours) else ours
    if exact.empty:
        return GUESS
    return {
        name: float(part["images_per_second"].max()) * FORWARDS
        for name, part in (("training", ours), ("attack", exact))
    }


def compare_precisions(options: argparse.Namespace, campaign: Campaign, pair: Pair) -> None:
    """Trains one pair with three seeds in float32 and in bfloat16, for `SHORT` epochs, if the time left suffices."""
    path, seeds = options.out / "precision.csv", 3
    if path.exists() or not options.benchmark or "T_R" not in campaign.plan.recipes:
        return
    epochs, rates = min(SHORT, campaign.plan.recipes["T_R"].epochs), rates_of(options.out)
    work = seeds * epochs * FORWARDS * len(pair.indices(campaign.dataset.train.labels))
    if time.monotonic() + sum(work / rate for rate in rates.values()) > campaign.deadline:
        return
    table = campaign.compare_precisions(pair, "T_R", epochs, seeds)
    write_csv(path, table)
    print(table.to_string(index=False), flush=True)


class Log:
    """Prints each epoch, and before the first one of a recipe what that is: a call may run for days, a search has many."""

    def __init__(self) -> None:
        self.recipes: dict[Problem, Recipe] = {}

    def __call__(self, tasks: list[Task], epoch: int, rows: list[Row]) -> None:
        """A `Watch` of `nnrobust.training.train`."""
        for task, row in zip(tasks, rows, strict=True):
            if self.recipes.get(task.pair) != task.recipe:
                self.recipes[task.pair] = task.recipe
                print(f"pair {task.pair}: {described(task.recipe)}", flush=True)
            numbers = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if value is not None)
            print(f"pair {task.pair}, epoch {epoch} of {task.recipe.epochs}: {numbers}", flush=True)


def described(recipe: Recipe) -> str:
    """What tells one recipe of a campaign from another, in a line."""
    text = (
        f"{recipe.architecture}, {recipe.epochs} epochs, batches of {recipe.batch_size}, "
        f"learning rate {recipe.learning_rate:g}, weight decay {recipe.weight_decay:g}"
    )
    if recipe.trades is None:
        return text
    inner = [f"{p.norm} {p.epsilon:.4g} in {p.steps} steps of {p.step_size:.4g}" for p in recipe.trades.perturbations]
    return f"{text}, TRADES with beta {recipe.trades.beta:g} and {' and '.join(inner)}"


def profile_of(options: argparse.Namespace) -> dict[str, Any]:
    """The values of the profile, with those of the command line in place of its own."""
    path = Path(options.profile)
    profile = read_profile(path if path.suffix == ".yaml" else ROOT / "profiles" / f"{path}.yaml")
    if options.images:
        profile["data"] |= {"source": "image_folder", "path": options.images, "sha256": None}
    for split in ("train", "test"):
        wanted = getattr(options, f"n_{split}_per_class")
        if wanted is not None:
            profile["attack"][f"n_{split}_per_class"] = wanted
    return profile


def noted(options: argparse.Namespace, profile: dict[str, Any], dataset: Dataset, campaign: Campaign) -> dict[str, Any]:
    """What a call notes before it begins; some of it decides whether its numbers may be added to those there."""
    plan = campaign.plan
    blocks = {name: profile[name] for name in ("epsilon", "validation")}
    return {
        "device": describe(campaign.machine.device),
        "precision": {name: str(precision).removeprefix("torch.") for name, precision in campaign.precisions.items()},
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": options.commit or commit(ROOT),
        "code": code_hash(),
        "dataset": dataset.name,
        "data_sha256": data_hash(dataset),
        "image_shape": list(dataset.image_shape),
        "settings": blocks | {"attacks": profile["attack"]["attacks"], "seed": profile["attack"]["seed"],
                              "n_attacked_per_class": plan.n_attacked, "bounds": sorted(plan.bounded)},
        "recipes": {name: plan.content(name) for name in plan.recipes},
        "left_out": [name for name in profile["variants"] if name not in plan.recipes],
        "profile": profile,
        "tests": "not run in this call",
        "stopped": "by an error",
    }  # fmt: skip


def prepared(options: argparse.Namespace) -> tuple[Campaign, list[Pair], dict[str, Any]]:
    """The campaign, its pairs, and what its call notes."""
    deadline = START + options.budget - max(RESERVE_PART * options.budget, RESERVE_SECONDS)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.resume and options.resume.resolve() != options.out.resolve():
        for path in (file for file in options.resume.iterdir() if file.is_file()):
            shutil.copy(path, options.out / path.name)
    profile = profile_of(options)
    variants = [name for name in profile["variants"] if HAS_OPTUNA or name not in profile["search"]["variants"]]
    for name in set(profile["variants"]) - set(variants):
        print(f"{name} is left out: its settings are searched with Optuna, which is not installed here", flush=True)
    dataset = Request.of(profile["data"]).read()
    computer = machine(options.device, 1, profile["compute"]["batch_size"])
    computer = replace(
        computer,
        n_streams=options.n_streams if computer.device.type == "cuda" else 1,
        precision=precision_of(profile["compute"]["precision"], computer.device),
        store=WorkStore(options.work.resolve(), fingerprint(torch.__version__, code_hash())),
    )
    n_attacked = {split: profile["attack"][f"n_{split}_per_class"] for split in ("train", "test")}
    plan = Plan.of(profile, variants, n_attacked, options.out / "search.journal")
    campaign = Campaign(options.out, dataset, plan, computer, deadline, Log())
    call = noted(options, profile, dataset, campaign)
    check_alike([*calls_of(options.out), call], options.out)
    return campaign, select_pairs(dataset.classes, profile["data"]["pairs"]), call


def main() -> None:
    options = arguments()
    keep_freed_memory()
    campaign, pairs, call = prepared(options)
    signal.signal(signal.SIGTERM, lambda *_: campaign.stop())  # an epoch or an attack under way is finished first
    try:
        if options.benchmark and not (options.out / "benchmark.csv").exists():
            left = campaign.deadline - time.monotonic()
            call["tests"] = gpu_tests(max(1.0, min(TEST_PART * options.budget, left)))
            print(f"tests: {call['tests']}", flush=True)
            measure(options, campaign.dataset, campaign)
        todo, rates = units(campaign.dataset, pairs, campaign.plan, campaign.machine.n_streams), rates_of(options.out)
        for unit in todo[:3]:
            run_what_fits(campaign, unit, rates, is_last_resort=False)
        compare_precisions(options, campaign, pairs[0])
        call["stopped"] = work_through(campaign, todo, rates)
    except BudgetSpentError:
        call["stopped"] = why_stopped(campaign)
    finally:
        call["seconds"] = round(time.monotonic() - START, 1)
        write_provenance(options.out, call)
    print(
        f"{call['stopped']}; {len(campaign.done())} networks and pairs in {options.out}, {call['seconds']} s",
        flush=True,
    )


if __name__ == "__main__":
    with one_sentence():
        main()
