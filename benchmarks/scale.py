"""1NN with up to a million references: time, memory and accuracy against their number, dimension, classes, k and queries.

    python benchmarks/scale.py PREPARED OUT [--copies 20] [--norm Linf] [...]    one case, a row of OUT/scale.csv
    python benchmarks/scale.py PREPARED OUT --all                                the cases of docs/scale.md
    python benchmarks/scale.py PREPARED OUT --fit                                formulas of the times in OUT/scale.csv

PREPARED is a folder that `dvc repro prepare` wrote. References are training images and shifted and mirrored copies of them
(`--copies`: of each image), class after class in one uint8 file under OUT, memory-mapped. Seconds are of the processor, on one
thread. A floor is one float32 product of queries and references, timed on 20,000 of these and scaled. Memory is what the process
holds beside pages of files (`anonymous`), and the most that was resident, these included.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from nnrobust import KNearestNeighbor
from nnrobust.data.datasets import Split, load_dataset
from nnrobust.runtime.outputs import finished_file, write_csv
from nnrobust.runtime.threads import on_one_thread

EPSILON = 8.0
"""Of Linf, in pixel values; in L2 times sqrt(d)."""
SHIFT = 2
"""Pixels that copies are moved by at most, in either direction; the edges are repeated."""
N_FLOOR, N_VERIFIED = 20_000, 20
RESULT = TypeVar("RESULT")


@dataclass(frozen=True)
class Case:
    """What is asked: `share` of the training images of the first `n_classes`, shrunk by `shrink`, in `copies` each.

    `n_queries` test images, of all classes alike; `is_radii`: exact radii, else verdicts at epsilon.
    """

    copies: int = 1
    share: float = 1.0
    shrink: int = 1
    n_classes: int = 10
    k: int = 1
    norm: str = "L2"
    n_queries: int = 200
    is_radii: bool = False
    working_memory: int = 1024


CASES = [
    *(Case(share=share) for share in (0.02, 0.1, 1.0)), *(Case(copies=copies) for copies in (4, 20)),
    *(Case(share=share, norm="Linf") for share in (0.02, 0.1, 1.0)), *(Case(copies=copies, norm="Linf") for copies in (4, 20)),
    *(Case(shrink=shrink) for shrink in (4, 2)), *(Case(n_classes=n_classes) for n_classes in (2, 5)),
    *(Case(n_queries=n_queries) for n_queries in (20, 1000)), Case(is_radii=True), Case(n_classes=2, k=3, n_queries=50),
    *(Case(copies=20, norm=norm, n_queries=1000, working_memory=5000) for norm in ("L2", "Linf")),
    Case(n_queries=1000, norm="Linf"),
]  # fmt: skip
"""The cases of docs/scale.md: against n, d, classes, queries and k, and a million references."""


def images(split: Split, case: Case) -> np.ndarray:
    """All images (n, channels, height, width), shrunk by averaging."""
    n, channels, height, width = split.images.shape
    if case.shrink == 1:
        return np.asarray(split.images)
    parts = split.images.reshape(n, channels, height // case.shrink, case.shrink, width // case.shrink, case.shrink)
    return parts.mean(axis=(3, 5)).round().astype(np.uint8)


def copies_of(image: np.ndarray, n: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """An image (channels, height, width), its mirror image, and both at n / 2 - 1 other places."""
    yield image
    places = [(y, x) for y in range(2 * SHIFT + 1) for x in range(2 * SHIFT + 1) if (y, x) != (SHIFT, SHIFT)]
    chosen = [(SHIFT, SHIFT), *(places[at] for at in generator.permutation(len(places)))]
    wide = np.pad(image, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)), mode="edge")
    for number in range(1, n):
        y, x = chosen[number // 2]
        moved = wide[:, y : y + image.shape[1], x : x + image.shape[2]]
        yield moved[:, :, ::-1] if number % 2 else moved


def references_of(train: Split, case: Case, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """References (n, d), uint8, memory-mapped, and their labels (n,), class after class."""
    ids = [np.flatnonzero(train.labels == one) for one in range(case.n_classes)]
    ids = [rows[: max(1, round(case.share * len(rows)))] for rows in ids]
    labels = np.repeat(np.arange(case.n_classes), [case.copies * len(rows) for rows in ids])
    shrunk = images(train, case)
    path = folder / f"references-{case.n_classes}-{case.share}-{case.shrink}-{case.copies}.npy"
    if not path.exists():
        generator = np.random.default_rng(0)
        with finished_file(path) as unfinished:
            shape = len(labels), shrunk[0].size
            found = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.uint8, shape=shape)
            for place, row in enumerate(np.concatenate(ids)):
                start = place * case.copies
                found[start : start + case.copies] = [
                    one.ravel() for one in copies_of(shrunk[row], case.copies, generator)
                ]
            found.flush()
    return np.load(path, mmap_mode="r"), labels


def queries_of(test: Split, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The first test images (m, d) of each class, as many of each, and their labels (m,)."""
    each = case.n_queries // case.n_classes
    rows = np.concatenate([np.flatnonzero(test.labels == one)[:each] for one in range(case.n_classes)])
    return images(test, case)[rows].reshape(len(rows), -1), test.labels[rows]


class Memory(threading.Thread):
    """Looks every tenth of a second how much of this process is no page of a file, until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.anonymous, self.is_done = 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.is_done.wait(0.1):
            self.anonymous = max(self.anonymous, self.read("RssAnon"))

    @staticmethod
    def read(name: str) -> int:
        """A line of this process's status, in MiB."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) // 1024


def timed(work: Callable[[], RESULT]) -> tuple[RESULT, float]:
    """What the work gives, and the seconds of the processor that it took."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def floor(references: np.ndarray, queries: np.ndarray) -> float:
    """Seconds of one float32 product of all queries with all references: the least of three with some, scaled."""
    some, others = references[:: max(1, len(references) // N_FLOOR)].astype(np.float32), queries.astype(np.float32)
    return min(timed(lambda: some @ others.T)[1] for _ in range(3)) * len(references) / len(some)


@on_one_thread
def measure(prepared: Path, case: Case, folder: Path) -> dict[str, object]:
    """The row of a case."""
    data = load_dataset(prepared).dataset
    references, labels = references_of(data.train, case, folder)
    queries, truth = queries_of(data.test, case)
    epsilon = EPSILON * (np.sqrt(references.shape[1]) if case.norm == "L2" else 1.0)
    memory = Memory()
    model = KNearestNeighbor(case.k, working_memory=case.working_memory)
    _, fitting = timed(lambda: model.fit(references, labels))
    predicted, predicting = timed(lambda: model.predict(queries))
    found, searching = timed(
        lambda: model.robust_radius(queries, truth, norm=case.norm, epsilon=None if case.is_radii else epsilon)
    )
    is_open = (found.lower <= epsilon) & (found.upper > epsilon)
    rows = np.flatnonzero(found.lower > 0)[:N_VERIFIED]
    holds, verifying = timed(lambda: found[rows].verify())
    memory.is_done.set()
    product = floor(references, queries)
    return {
        **asdict(case), "n": len(labels), "d": references.shape[1], "n_asked": len(truth), "clean": (predicted == truth).mean(),
        "robust": (found.lower > epsilon).mean(), "n_open": int(is_open.sum()), "n_exact": int((found.status == "exact").sum()),
        "fit_s": fitting, "predict_s": predicting, "search_s": searching, "floors": searching / product,
        "verify_ms": 1000 * verifying / max(len(rows), 1), "all_hold": bool(holds.all()), "anonymous_mib": memory.anonymous,
        "resident_mib": memory.read("VmHWM"),
    }  # fmt: skip


def kept(out: Path, case: Case, row: dict[str, object]) -> None:
    """Adds the row to OUT/scale.csv, in the place of an earlier one of the same case."""
    path, key = out / "scale.csv", [one.name for one in fields(case)]
    table = pd.DataFrame([row])
    if path.exists():
        table = pd.concat([pd.read_csv(path), table]).drop_duplicates(key, keep="last")
    write_csv(path, table)


def formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The times of k = 1 as sums of a part for each query, for each value of a reference, and for both, of least relative error.

    `least` and `most`: measured by fitted time.
    """
    table = table[table["k"] == 1]
    values, queries = table["n"] * table["d"], table["n_asked"]
    every = {"s_per_query": queries, "s_per_value": values, "s_per_query_and_value": queries * values}
    terms = {"fit_s": ["s_per_value"], "predict_s": ["s_per_query", "s_per_query_and_value"], "search_s": [*every]}
    rows = []
    for norm, some in table.groupby("norm"):
        for time_of, names in terms.items():
            measured = some[time_of].to_numpy()
            parts = np.stack([every[name][some.index].to_numpy() for name in names], axis=1) / measured[:, None]
            sizes = parts.max(axis=0)
            found = nnls(parts / sizes, np.ones(len(parts)))[0] / sizes
            ratio = 1 / (parts @ found)
            about = {"norm": norm, "time": time_of, "n_cases": len(some), **dict(zip(names, found, strict=True))}
            rows.append({**about, "least": ratio.min(), "most": ratio.max()})
    return pd.DataFrame(rows)


def words(case: Case) -> list[str]:
    """The options that a case differs by from none."""
    chosen = [(one.name, getattr(case, one.name)) for one in fields(case) if getattr(case, one.name) != one.default]
    options = [[f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", str(value)]
               for name, value in chosen]  # fmt: skip
    return [word for option in options for word in option]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true", help="the cases of docs/scale.md, each in a process of its own")
    parser.add_argument("--fit", action="store_true", help="formulas of the times that OUT/scale.csv holds")
    for one in fields(Case):
        name, value = f"--{one.name.replace('_', '-')}", one.default
        parser.add_argument(name, action="store_true") if value is False else parser.add_argument(
            name, type=type(value), default=value
        )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fit:
        print(formulas(pd.read_csv(options.out / "scale.csv")).to_string(index=False))
        return
    if options.all:
        for case in CASES:
            subprocess.run(
                [sys.executable, __file__, str(options.prepared), str(options.out), *words(case)], check=True
            )
        return
    case = Case(**{one.name: getattr(options, one.name) for one in fields(Case)})
    row = measure(options.prepared, case, options.out)
    kept(options.out, case, row)
    print({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}, flush=True)


if __name__ == "__main__":
    main()
