"""Robust linear classifiers: CPU seconds to the same relative gap as another solver takes, in one run.

    python benchmarks/linear.py PREPARED FIRST SECOND --advtrain CHECKOUT [--repeats 2] [--tol 1e-3] [--steps fixed]

PREPARED is a folder that the stage `prepare` wrote; FIRST and SECOND are classes. CHECKOUT is a working copy of
antonior92/advtrain-linear (arXiv 2410.12677) whose Cython module is built; it wants numba, cvxpy and cython beside this package.

Both solve the same problem, that of `RobustLinearClassifier`, on the training images in [0, 1]. Theirs has no intercept and no
weight decay: here their accelerated projected gradient gets points less their mean, with a column of ones, and the decay in its
cost and gradient; their cost, step sizes and projection are called as they are, in float64, for which they are written. They
prove no gap: their clock stops at the first iterate whose objective, evaluated as ours is, is within the tolerance of a bound
that a finer fit proves beforehand. Ours stops where it has proven the gap. Both of their ways to a step size are measured.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnrobust import RobustLinearClassifier
from nnrobust.data.datasets import load_dataset
from nnrobust.linear.norms import dual_norm
from nnrobust.linear.objective import Objective

EPSILON = 8 / 255
"""Of Linf; in L2 times sqrt(d)."""
MOST = 2000
"""Iterations of theirs at most."""
EVERY = 5
"""Of many iterates of theirs one in so many is evaluated, not on the clock: up to four iterations too late are counted."""


@dataclass(frozen=True)
class Trial:
    """One solver on one problem: CPU seconds to the gap, the objective there, and the gap by its own bound or ours."""

    seconds: float
    value: float
    gap: float
    n_iter: int


def ours(objective: Objective, tol: float) -> Trial:
    """From points to a proven gap, checks of the input included."""
    start = time.process_time()
    model = RobustLinearClassifier(norm=objective.norm, epsilon=objective.epsilon, alpha=objective.alpha, tol=tol)
    model.fit(objective.points, objective.codes)
    return Trial(time.process_time() - start, model.objective_, model.gap_, model.n_iter_)


def their_modules(checkout: str) -> tuple:
    """Their classification module and their first-order methods."""
    if not (Path(checkout) / "linadvtrain").is_dir():
        raise SystemExit(
            f"--advtrain: expected a checkout of antonior92/advtrain-linear, got {checkout}, without linadvtrain/"
        )
    if not hasattr(np, "Inf"):
        np.Inf = np.inf  # type: ignore[attr-defined]  # a name they use and NumPy 2 has not
    sys.path.insert(0, checkout)
    try:
        from linadvtrain import classification, first_order_methods
    except ImportError as error:
        raise SystemExit(f"--advtrain: {error}; install numba, cvxpy and cython, and run in {checkout}: "
                         "python setup.py build_ext --inplace") from error  # fmt: skip
    return classification, first_order_methods


class _Reached(Exception):  # noqa: N818
    """Their value is low enough, which ends their iterations."""


def theirs(objective: Objective, modules: tuple, is_searched: bool, bound: float, tol: float) -> Trial:
    """Their accelerated gradient: step sizes by backtracking if `is_searched`, else a fixed one."""
    classification, methods = modules
    d, p = objective.points.shape[1], {"L2": 2, "Linf": np.inf}[objective.norm]
    start = time.process_time()
    centred = objective.points.astype(np.float64)
    centred -= centred.mean(axis=0)
    largest = classification.power_method_covmatr(centred)
    rho = np.sqrt(largest) / 2
    loss = classification.CostFunction(np.c_[centred, np.ones(len(centred))], objective.codes, rho, p)
    trace = []

    def cost(at: np.ndarray) -> float:
        return loss.compute_cost(at) + objective.alpha / 2 * at[:d] @ at[:d]

    def gradient(at: np.ndarray) -> np.ndarray:
        found = loss.compute_grad(at).copy()
        found[:d] += objective.alpha * at[:d]
        return found

    def projected(at: np.ndarray) -> np.ndarray:
        weights_and_norm = np.r_[at[:d], at[-1]]
        moved = classification.projection(weights_and_norm, p=p, delta=objective.epsilon, rho=rho)
        return np.r_[moved[:-1], at[d], moved[-1]]

    def seen(i: int, at: np.ndarray, value: float, _: float) -> None:
        trace.append((time.process_time() - start, at[:d].copy()))
        if value * (1 - tol) <= bound:  # their cost is no less than the objective
            raise _Reached

    try:
        run, options = (methods.agd_with_backtrack, {}) if is_searched else (methods.agd, {"lr": 2 / largest})
        run(np.zeros(d + 2), cost, gradient, prox=projected, callback=seen, max_iter=MOST, **options)
    except _Reached:
        pass
    return first_within(objective, trace, bound, tol)


def first_within(objective: Objective, trace: list, bound: float, tol: float) -> Trial:
    """Of their iterates the first within the tolerance of the bound, else the last."""
    centred = objective.centred(np.float64)
    for i in [*range(0, len(trace), EVERY if len(trace) > 10 * EVERY else 1), len(trace) - 1]:
        seconds, weights = trace[i]
        lengths, _ = dual_norm(weights[None], objective.norm)
        found = objective.evaluate(weights[None], lengths, np.log(objective.shares), centred)
        gap = (found.value - bound) / found.value
        if gap <= tol:
            break
    return Trial(seconds, found.value, gap, i + 1)


def compare(objective: Objective, solvers: dict[str, Callable[[], Trial]], repeats: int) -> None:
    """Each solver in turn, `repeats` times, ours first; then the ratios of their least CPU seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in solvers}
    for _ in range(repeats):
        for name, solver in solvers.items():
            trial = solver()
            seconds[name].append(trial.seconds)
            print(f"{objective.norm} {name}: {trial.seconds:.2f} CPU seconds, value {trial.value:.7f}, gap {trial.gap:.1e}, "
                  f"{trial.n_iter} iterations", flush=True)  # fmt: skip
    least = {name: min(found) for name, found in seconds.items()}
    for name in list(least)[1:]:
        print(f"{objective.norm} {name}: {least[name] / least['ours']:.2f} times the CPU seconds of ours", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared")
    parser.add_argument("classes", nargs=2)
    parser.add_argument("--advtrain", required=True)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--alpha", type=float, default=1e-3)
    parser.add_argument("--norms", nargs="+", default=["L2", "Linf"], choices=["L2", "Linf"])
    parser.add_argument("--epsilon", type=float, default=EPSILON, help="of Linf, in L2 times sqrt(d)")
    parser.add_argument(
        "--steps", nargs="+", default=["backtracking", "fixed"], choices=["backtracking", "fixed"], help="of theirs"
    )
    parser.add_argument("--one-in", type=int, default=1, help="takes one training image in so many")
    options = parser.parse_args()
    modules, data = their_modules(options.advtrain), load_dataset(options.prepared).dataset
    first, second = (data.classes.index(name) for name in options.classes)
    rows = np.flatnonzero(np.isin(data.train.labels, (first, second)))[:: options.one_in]
    points = (data.train.images[rows].reshape(len(rows), -1) / np.float32(255)).astype(np.float32)
    codes = (data.train.labels[rows] == second).astype(np.int64)
    print(
        f"{' and '.join(options.classes)}: {len(points)} x {points.shape[1]}, alpha {options.alpha:g}, tolerance {options.tol:g}"
    )
    for norm in options.norms:
        epsilon = options.epsilon * (np.sqrt(points.shape[1]) if norm == "L2" else 1)
        objective = Objective(points, points.mean(axis=0, dtype=np.float64), codes, 2, norm, epsilon, options.alpha)
        fine = ours(objective, options.tol / 20)  # also loads what is loaded once
        bound = fine.value * (1 - fine.gap)
        few = Objective(points[::50], objective.centre, codes[::50], 2, norm, epsilon, options.alpha)
        solvers: dict[str, Callable[[], Trial]] = {"ours": lambda at=objective: ours(at, options.tol)}
        for step in options.steps:
            is_searched = step == "backtracking"
            theirs(few, modules, is_searched, np.inf, options.tol)  # so that numba compiles nothing in what is timed
            solvers[f"theirs, {step} step"] = lambda at=objective, is_searched=is_searched, bound=bound: theirs(
                at, modules, is_searched, bound, options.tol
            )
        compare(objective, solvers, options.repeats)
        print(f"{norm}: least value between {bound:.7f} and {fine.value:.7f}", flush=True)


if __name__ == "__main__":
    main()
