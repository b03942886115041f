"""The small problems that exact radii of 1NN consist of, solved by ours and by general solvers, in one run.

    python -m pip install qpsolvers clarabel daqp piqp highspy
    OMP_NUM_THREADS=1 python benchmarks/solvers.py [--images IMAGES --first cat --second dog] [--n 60] [--than TABLE]

Each problem is the point v of least norm with A v <= b, in a box or without: a row of A for each of some own-class references.
They are those that the search met on digits, all ten classes, d = 64, and on two classes of IMAGES, a folder or tar of
{train,test}/<class>/ images. Ours solves those of one step of the search together; the others get one after the other, their
matrices made beforehand. Microseconds of processor a problem, and the largest relative difference of the norms. Writes the table
as CSV, `--out`. With `--than`, a table of before: exit status 1 when what ours gains on the fastest other fell by a third.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import scipy.sparse as sp
from qpsolvers import Problem, solve_problem
from sklearn.datasets import load_digits

from nnrobust import OneNearestNeighbor
from nnrobust.data.sources import read_image_folder
from nnrobust.nearest.convex.problems import Problems, propose, solve
from nnrobust.nearest.proofs.halfspace import Adversary, Box
from nnrobust.nearest.search import best_first, pairs
from nnrobust.simple.measured import as_points
from nnrobust.threat import norm_of

SOLVERS = {
    "L2": ("daqp", "piqp", "clarabel", "highs"),
    "Linf": ("piqp", "clarabel", "highs"),
    "L1": ("piqp", "clarabel", "highs"),
}
"""By norm; a problem in Linf or L1 is linear, which DAQP does not take. HiGHS gets no quadratic one of many dimensions, which
takes it a minute."""
TOLERANCES: dict[str, dict[str, Any]] = {
    "daqp": {"primal_tol": 1e-9, "dual_tol": 1e-9}, "piqp": {"eps_abs": 1e-8, "eps_rel": 1e-8},
    "clarabel": {"tol_gap_abs": 1e-8, "tol_gap_rel": 1e-8, "tol_feas": 1e-8}, "highs": {},
}  # fmt: skip
DENSE = ("daqp",)
"""Solvers that take dense matrices; PIQP takes them where d is small."""
FEW = 256
THIRD = 2 / 3
COLUMNS = ["data", "d", "norm", "box", "solver", "n", "microseconds", "difference", "failed"]


@dataclass(frozen=True)
class Step:
    """Problems that the search solved together, with what it gave the solver."""

    problems: Problems
    adversary: Adversary
    room: Box | None
    start: np.ndarray | None

    def solved(self) -> np.ndarray:
        """Points (n, d)."""
        if self.start is None:
            return propose(self.problems, self.adversary, self.room).points
        return solve(self.problems, self.adversary, self.room, self.start).points


@dataclass(frozen=True)
class Small:
    """One problem: A (k, d), b (k,), and a box (d,) around the origin or none."""

    a: np.ndarray
    b: np.ndarray
    box: tuple[np.ndarray, np.ndarray] | None


def steps(
    model: OneNearestNeighbor, queries: np.ndarray, y: np.ndarray, norm: str, box: tuple[float, float] | None
) -> list[Step]:
    """The steps that the search takes in the norm: the proposals in L2 without a box, the solutions elsewhere."""
    found: list[Step] = []

    def noted(problems: Problems, adversary: Adversary, room: Box | None, *start: np.ndarray) -> Any:
        is_asked = bool(start) != (norm == "L2" and box is None)
        if is_asked and len(problems.limits):
            found.append(Step(problems, adversary, room, start[0].copy() if start else None))
        return (solve if start else propose)(problems, adversary, room, *start)

    with patch.multiple(best_first, propose=noted, solve=noted), patch.multiple(pairs, propose=noted, solve=noted):
        model.robust_radius(queries, y, norm=norm, box=box)  # type: ignore[arg-type]
    return found


def one_by_one(step: Step) -> Iterator[Small]:
    normals, limits = step.problems.normals(), step.problems.inner_limits
    for n, is_used in enumerate(step.problems.is_used):
        box = None if step.room is None else (step.room[0][n], step.room[1][n])
        yield Small(normals[n, is_used], limits[n, is_used], box)


def posed(small: Small, norm: str, *, is_dense: bool) -> tuple[Problem, Callable[[np.ndarray], np.ndarray]]:
    """The problem as qpsolvers has it, and how a solution is read."""
    k, d = small.a.shape
    low, high = small.box if small.box is not None else (np.full(d, -np.inf), np.full(d, np.inf))
    if norm == "L2":
        p, g = (np.eye(d), small.a) if is_dense else (sp.eye(d, format="csc"), sp.csc_matrix(small.a))
        return Problem(p, np.zeros(d), g, small.b, None, None, low, high), lambda x: x
    if norm == "L1":  # v = p - q, both at least 0
        g, nothing = sp.csc_matrix(np.c_[small.a, -small.a]), sp.csc_matrix((2 * d, 2 * d))
        sides = np.r_[np.maximum(high, 0), np.maximum(-low, 0)]
        return Problem(nothing, np.ones(2 * d), g, small.b, None, None, np.zeros(2 * d), sides), lambda x: x[:d] - x[d:]
    ones, eye = np.ones((d, 1)), sp.eye(d)
    g = sp.vstack(
        [sp.csc_matrix(np.c_[small.a, np.zeros(k)]), sp.hstack([eye, -ones]), sp.hstack([-eye, -ones])], format="csc"
    )
    h, nothing = np.r_[small.b, np.zeros(2 * d)], sp.csc_matrix((d + 1, d + 1))
    return (
        Problem(nothing, np.r_[np.zeros(d), 1.0], g, h, None, None, np.r_[low, 0.0], np.r_[high, np.inf]),
        lambda x: x[:-1],
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def compared(data: str, norm: str, box: tuple[float, float] | None, met: list[Step]) -> Iterator[dict[str, object]]:
    """A row for ours and for each other solver."""
    problems = [small for step in met for small in one_by_one(step)]
    points, seconds = zip(
        *(min((timed(step.solved) for _ in range(3)), key=lambda one: one[1]) for step in met), strict=True
    )
    ours = norm_of(np.concatenate(points), norm)
    common = {"data": data, "d": problems[0].a.shape[1], "norm": norm, "box": "" if box is None else "[0, 1]"}
    each = 1e6 * sum(seconds) / len(problems)
    yield {**common, "solver": "ours", "n": len(problems), "microseconds": each, "difference": 0.0, "failed": 0}
    rows = np.linspace(0, len(problems) - 1, min(len(problems), 200 if common["d"] <= FEW else 20)).astype(int)
    for solver in SOLVERS[norm]:
        if solver == "highs" and norm == "L2" and common["d"] > FEW:
            continue
        is_dense = solver in DENSE or (solver == "piqp" and norm == "L2" and common["d"] <= FEW)
        used, differences, n_failed = 0.0, [0.0], 0
        for row in rows:
            problem, read = posed(problems[row], norm, is_dense=is_dense)
            found, took = timed(lambda: solve_problem(problem, solver, **TOLERANCES[solver]))  # noqa: B023
            used += took
            if found.x is None or not found.found:
                n_failed += 1
                continue
            differences.append(abs(norm_of(read(found.x)[None], norm)[0] / ours[row] - 1))
        yield {**common, "solver": solver, "n": len(rows), "microseconds": 1e6 * used / len(rows),
               "difference": max(differences), "failed": n_failed}  # fmt: skip


def data_sets(options: argparse.Namespace) -> Iterator[tuple[str, OneNearestNeighbor, np.ndarray, np.ndarray]]:
    """Name, fitted classifier, queries with labels."""
    digits = load_digits()
    points, y = digits.data / 16, digits.target
    yield (
        "digits",
        OneNearestNeighbor().fit(points[: -options.n], y[: -options.n]),
        points[-options.n :],
        y[-options.n :],
    )
    if options.images:
        data = read_image_folder("images", options.images, None)
        ids = [data.classes.index(name) for name in (options.first, options.second)]
        train, test = (part.take(np.flatnonzero(np.isin(part.labels, ids))) for part in (data.train, data.test))
        x, queries = (as_points(part.images) for part in (train, test))
        rows = np.linspace(0, len(queries) - 1, options.n).astype(int)
        yield (
            f"{options.first}/{options.second}",
            OneNearestNeighbor().fit(x, train.labels),
            queries[rows],
            test.labels[rows],
        )


def gains(table: pd.DataFrame) -> pd.Series:
    """How many times faster ours is than the fastest other that failed on none, by problem."""
    keys = ["data", "norm", "box"]
    table = table.fillna({"box": ""})
    ours = table[table["solver"] == "ours"].set_index(keys)["microseconds"]
    others = table[(table["solver"] != "ours") & (table["failed"] == 0)].groupby(keys)["microseconds"].min()
    return (others / ours).dropna()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images")
    parser.add_argument("--first", default="cat")
    parser.add_argument("--second", default="dog")
    parser.add_argument("--n", type=int, default=60, help="queries; of digits the last, the others are references")
    parser.add_argument("--out", type=Path, default=Path("solvers.csv"))
    parser.add_argument("--than", type=Path)
    options = parser.parse_args()
    rows = []
    for data, model, queries, y in data_sets(options):
        for norm in SOLVERS:
            for box in (None, (0.0, 1.0)):
                met = steps(model, queries, y, norm, box)
                if met:
                    rows += list(compared(data, norm, box, met))
                    print(pd.DataFrame(rows[-5:], columns=COLUMNS).to_string(header=False), flush=True)
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.round(12).to_csv(options.out, index=False)
    now = gains(table)
    print(now.round(2).to_string())
    if options.than:
        before = gains(pd.read_csv(options.than))
        fallen = now[now < THIRD * before.reindex(now.index)]
        if len(fallen):
            sys.exit(
                f"ours gained more before: {before.reindex(fallen.index).round(2).to_dict()}, now {fallen.round(2).to_dict()}"
            )


if __name__ == "__main__":
    main()
