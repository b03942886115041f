"""All that wants a GPU, in order of value, until the budget is spent.

    python scripts/gpu.py --archive CIFAR10.tar.xz --budget SECONDS --out DIR [--resume DIR]

Runs on a bare machine: Python 3.10 or newer, PyTorch, torchvision, pandas, pyarrow, PyYAML, and pytest for the tests; no
network, and neither dvc, faiss, robustbench nor the package itself installed. ARCHIVE has {train,test}/<class>/ images. In order:
the GPU tests; `training.py`'s benchmark; then chunk after chunk of pairs, the variants trained and attacked at both norms on test
images and on the first train images of each class; and bfloat16 against float32 over three seeds. DIR gets, whole at any time:

    records_NN.parquet   one row per image and threat model, as in data/records
    training.csv, history.csv   how the training of each pair ended, and each epoch of it
    benchmark.csv, precision.csv, provenance.json   the benchmarks; device, versions, code, seconds, tests, profile of each call

`--resume DIR` goes on from an earlier call's files with the next pair; networks under way are kept in `.work` too. A call
stops between two epochs: where one takes minutes, the budget is overrun by as much.
`make publish` turns such folders into a published run.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402

from benchmarks.training import FORWARDS, compare  # noqa: E402
from nnrobust.config.profiles import read_profile  # noqa: E402
from nnrobust.data.datasets import Dataset, Pair  # noqa: E402
from nnrobust.data.sources import read_image_folder  # noqa: E402
from nnrobust.experiments.campaign import BudgetSpentError, Campaign, Plan, Unit, write_provenance  # noqa: E402
from nnrobust.runtime.machine import describe, machine, precision_of  # noqa: E402
from nnrobust.runtime.outputs import write_csv  # noqa: E402
from nnrobust.runtime.store import WorkStore  # noqa: E402

START = time.monotonic()
FIRST_PAIRS = [("airplane", "automobile"), ("cat", "dog"), ("bird", "horse"), ("deer", "frog")]
FIRST_VARIANTS, LATER_VARIANTS = ["S", "E_S", "T_R"], ["T_B_A", "T_L2"]
TESTS = ["training/test_train", "attacks/test_attack", "nearest/test_estimator"]
TEST_PART = 0.2
"""The part of the budget that the tests may take."""
RESERVE_PART, RESERVE_SECONDS = 0.03, 15.0
"""What is left of the budget for stopping: start-up before the clock runs, and the last file."""
SHORT = 12
"""Epochs of the networks that show what bfloat16 changes."""
GUESS = {"training": 3_000.0 * FORWARDS, "attack": 1_000.0 * FORWARDS}
"""Forward passes of an image a second, until they have been measured."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", required=True, help="folder or tar of {train,test}/<class>/ images")
    parser.add_argument("--budget", type=float, required=True, help="seconds, all included")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="the folder of an earlier call")
    parser.add_argument("--profile", type=Path, default=ROOT / "profiles" / "paper.yaml")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--n-train-per-class", type=int, default=500, help="train images attacked, of each class")
    parser.add_argument("--n-test-per-class", type=int, help="test images attacked, of each class; all unless given")
    parser.add_argument("--n-streams", type=int, default=4, help="pairs trained at the same time")
    parser.add_argument("--work", type=Path, default=ROOT / ".work", help="where networks under way are kept")
    parser.add_argument("--only-train", action="store_true", help="neither tests nor benchmarks")
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


def units(dataset: Dataset, variants: list[str], n_streams: int) -> list[Unit]:
    """All variants on all pairs: the first variants on the first pairs, the other variants on these, then the other pairs."""
    names = [pair for pair in FIRST_PAIRS if set(pair) <= set(dataset.classes)]
    first = [Pair(*sorted(dataset.classes.index(name) for name in pair)) for pair in names]
    everything = [Pair(a, b) for a, b in combinations(range(len(dataset.classes)), 2)]
    pairs = first + [pair for pair in everything if pair not in first]
    chunks = [tuple(pairs[start : start + n_streams]) for start in range(0, len(pairs), n_streams)]
    order = [name for name in FIRST_VARIANTS + LATER_VARIANTS if name in variants]
    return [Unit(name, chunk) for chunk in chunks for name in order]


def work_through(campaign: Campaign, todo: list[Unit], rates: dict[str, float]) -> str:
    """Runs what fits into the time left, in order, then begins what does not; says why it stopped."""
    try:
        for is_last_resort in (False, True):
            for unit in todo:
                run_what_fits(campaign, unit, rates, is_last_resort)
    except BudgetSpentError:
        return "the budget is spent"
    return "all is done"


def run_what_fits(campaign: Campaign, unit: Unit, rates: dict[str, float], is_last_resort: bool) -> None:
    """The missing pairs of a unit, as many at a time as fit; as a last resort one that does not, for a later call to finish."""
    done = campaign.done()
    there = set(done.loc[done["classifier"] == unit.variant, "pair"])
    missing = tuple(pair for pair in unit.pairs if str(pair) not in there)
    while missing:
        campaign.check_time()
        training, attack = campaign.seconds_a_pair(unit.variant, rates)
        n_fitting = int((campaign.deadline - time.monotonic()) / (training + attack))
        if n_fitting == 0 and not is_last_resort:
            return
        part, start = replace(unit, pairs=missing[: max(1, n_fitting)]), time.monotonic()
        campaign.run(part, 0.0 if is_last_resort else attack)
        print(f"{part.variant} on {', '.join(map(str, part.pairs))}: {time.monotonic() - start:.0f} s", flush=True)
        missing = missing[len(part.pairs) :]


def measure(options: argparse.Namespace, dataset: Dataset, campaign: Campaign) -> None:
    """Runs the benchmark and keeps it."""
    is_gpu = campaign.machine.device.type == "cuda"
    rows = Pair(0, 1).indices(dataset.train.labels)[: 10_000 if is_gpu else 16]
    images, targets = np.ascontiguousarray(dataset.train.images[rows]), np.arange(len(rows)) % 2
    groups = [1, 2, 4, 8] if is_gpu else [1]
    table = compare(images, targets, min(128, len(rows) // 2), campaign.machine, groups, campaign.deadline)
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


def compare_precisions(options: argparse.Namespace, campaign: Campaign, dataset: Dataset) -> None:
    """Trains one pair with three seeds in float32 and in bfloat16, for `SHORT` epochs, if the time left suffices."""
    path, seeds = options.out / "precision.csv", 3
    if path.exists() or options.only_train or "T_R" not in campaign.plan.recipes:
        return
    (unit, *_) = units(dataset, ["T_R"], 1)
    epochs, rates = min(SHORT, campaign.plan.recipes["T_R"].epochs), rates_of(options.out)
    work = seeds * epochs * FORWARDS * len(unit.pairs[0].indices(dataset.train.labels))
    if time.monotonic() + sum(work / rate for rate in rates.values()) > campaign.deadline:
        return
    table = campaign.compare_precisions(unit.pairs[0], "T_R", epochs, seeds)
    write_csv(path, table)
    print(table.to_string(index=False), flush=True)


def code_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "nnrobust").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def sha256_of(path: str) -> str | None:
    """The hash of an archive; a folder has none."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else None


def commit() -> str | None:
    """The commit of the checkout, where there is one."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def main() -> None:
    options = arguments()
    deadline = START + options.budget - max(RESERVE_PART * options.budget, RESERVE_SECONDS)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.resume and options.resume.resolve() != options.out.resolve():
        for path in (file for file in options.resume.iterdir() if file.is_file()):
            shutil.copy(path, options.out / path.name)
    profile = read_profile(options.profile)
    variants = [name for name in FIRST_VARIANTS + LATER_VARIANTS if name in profile["variants"]]
    dataset = read_image_folder(profile["data"]["name"], options.archive, None)
    computer = machine(options.device, 1, profile["compute"]["batch_size"])
    computer = replace(
        computer,
        n_streams=options.n_streams if computer.device.type == "cuda" else 1,
        precision=precision_of(profile["compute"]["precision"], computer.device),
        store=WorkStore(options.work.resolve(), code_hash()),
    )
    plan = Plan.of(profile, variants, options.n_train_per_class, options.n_test_per_class)
    campaign = Campaign(options.out, dataset, plan, computer, deadline)

    call = {
        "device": describe(computer.device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
        "code": code_hash(),
        "dataset": dataset.name,
        "image_shape": dataset.image_shape,
        "archive_sha256": sha256_of(options.archive),
        "profile": profile,
        "n_attacked_per_class": plan.n_attacked,
        "tests": "not run in this call",
        "stopped": "by an error",
    }
    try:
        if not options.only_train and not (options.out / "benchmark.csv").exists():
            call["tests"] = gpu_tests(max(1.0, min(TEST_PART * options.budget, deadline - time.monotonic())))
            print(f"tests: {call['tests']}", flush=True)
            measure(options, dataset, campaign)
        todo, rates = units(dataset, variants, options.n_streams), rates_of(options.out)
        n_first = len(set(FIRST_VARIANTS) & set(variants))
        for unit in todo[:n_first]:
            run_what_fits(campaign, unit, rates, is_last_resort=False)
        compare_precisions(options, campaign, dataset)
        call["stopped"] = work_through(campaign, todo, rates)
    except BudgetSpentError:
        call["stopped"] = "the budget is spent"
    finally:
        call["seconds"] = round(time.monotonic() - START, 1)
        write_provenance(options.out, call)
    print(f"{call['stopped']}; {len(campaign.done())} networks in {options.out}, {call['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
