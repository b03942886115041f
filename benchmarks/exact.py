"""The exact radius of 1NN on real images: time per image, set-up included, and against other solvers in the same run.

    python benchmarks/exact.py IMAGES FIRST SECOND [--qp-exact CHECKOUT] [--n-reference 10] [--growth] [--device cuda]
    python benchmarks/exact.py IMAGES all

IMAGES is a folder or tar of {train,test}/<class>/ images; FIRST and SECOND are classes, `all` the problem of all of them, in
L2. A time is also told in floors: one float32 product of the test images with the training images, in the same run. CHECKOUT is a
working copy of wangwllu/knn_robustness (arXiv 1906.03972), whose QP-exact takes over a second for an image. In Linf the other
solver is HiGHS, through SciPy, one linear problem after the other. Both get the first correctly classified images.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy.optimize import linprog

from nnrobust import OneNearestNeighbor
from nnrobust.data.datasets import Dataset
from nnrobust.data.sources import read_image_folder
from nnrobust.nearest.proofs.proof import RobustRadius

EPSILON = 8.0
"""Of Linf, in pixel values; in L2 times sqrt(d)."""


def flat(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.reshape(len(images), -1))


Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def floor(train: np.ndarray, test: np.ndarray) -> float:
    """Seconds of one float32 product of the test images (m, d) with the training images (n, d): the least of three."""
    x, y = train.astype(np.float32), test.astype(np.float32)
    return min(timed(lambda: x @ y.T)[1] for _ in range(3))


def report(name: str, result: RobustRadius, seconds: float, epsilon: float, product: float) -> None:
    n, n_open = len(result.upper), int(((result.lower <= epsilon) & (result.upper > epsilon)).sum())
    n_exact = int((result.status == "exact").sum())
    print(f"{name}: {1000 * seconds / n:.2f} ms an image over {n}, set-up included, {seconds / product:.1f} floors; "
          f"robust at {epsilon:.4g}: {100 * (result.lower > epsilon).mean():.3f} %, "
          f"{n_open} open, {n_exact} exact radii")  # fmt: skip


def measure(model: OneNearestNeighbor, train: tuple, test: tuple, label: str) -> dict[str, tuple[RobustRadius, float]]:
    """Radii and decisions of all test images without the box, fit included, in pixel values."""
    d = train[0].shape[1]
    radius = {"L2": EPSILON * np.sqrt(d), "Linf": EPSILON}
    found = {}
    product = floor(train[0], test[0])
    for name, norm, epsilon in (
        ("L2 radii", "L2", None), ("Linf decisions", "Linf", EPSILON), ("Linf radii", "Linf", None),
    ):  # fmt: skip
        found[name] = timed(lambda: model.fit(*train).robust_radius(*test, norm=norm, epsilon=epsilon))  # noqa: B023
        report(f"{label}{name}", *found[name], radius[norm], product)
    return found


def qp_exact(checkout: str, train: tuple, queries: np.ndarray) -> np.ndarray:
    """Radii by QP-exact as its README runs it, on float64 pixels in [0, 1]."""
    sys.path.insert(0, checkout)
    from knn_robustness.nn_only import ExactSolver
    from knn_robustness.utils import QpSolverFactory

    solver = ExactSolver(train[0] / 255, train[1], QpSolverFactory().create("gcd"), 32, False)
    return 255 * np.array([np.linalg.norm(solver(query)) for query in queries / 255])


def by_highs(train: tuple, query: np.ndarray, label: int) -> float:
    """The Linf radius: references in the order of their bisector bound, constraints generated, one linear problem at a time."""
    x = query.astype(np.float64)
    own, other = (train[0][train[1] == one].astype(np.float64) for one in (label, 1 - label))
    d_own, d_other = (((points - x) ** 2).sum(axis=1) for points in (own, other))
    nearest = own[d_own.argmin()]
    bounds = (d_other - d_own.min()) / (2 * np.abs(other - nearest).sum(axis=1))
    best = np.inf
    for j in bounds.argsort():
        if bounds[j] >= best:
            break
        chosen = [int(d_own.argmin())]
        while True:
            a, b = own[chosen] - other[j], (d_own[chosen] - d_other[j]) / 2
            # v = w - t: 0 <= w <= 2 t is a bound of one side and a row of the other.
            rows = np.c_[a, -a.sum(axis=1)]
            sides = np.c_[np.eye(len(x)), np.full(len(x), -2.0)]
            solved = linprog(
                np.r_[np.zeros(len(x)), 1.0], A_ub=np.r_[rows, sides], b_ub=np.r_[b, np.zeros(len(x))], method="highs"
            )
            v = solved.x[:-1] - solved.x[-1]
            slack = ((own - x - v) ** 2).sum(axis=1) - ((other[j] - x - v) ** 2).sum()
            worst = int(slack.argmin())
            if solved.fun >= best or slack[worst] >= -1e-6 * d_other[j] or worst in chosen:
                break
            chosen.append(worst)
        best = min(best, solved.fun)
    return best


def compare(name: str, ours: tuple[RobustRadius, float], theirs: np.ndarray, rows: np.ndarray, seconds: float) -> None:
    result, own_seconds = ours
    each, own = seconds / len(rows), own_seconds / len(result.upper)
    difference = np.abs(result.upper[rows] - theirs) / theirs
    print(f"{name}: {1000 * each:.0f} ms an image over {len(rows)}; ratio {each / own:.0f}; "
          f"largest relative difference of radii {difference.max():.1e}")  # fmt: skip


def growth(data: Dataset, ids: list[int], model: OneNearestNeighbor) -> None:
    """Time against the number of references, and against the dimension: images shrunk by averaging."""
    for share in (1 / 8, 1 / 4, 1 / 2, 1):
        train, test = pair_of(data, ids, share, 1)
        measure(model, train, test, f"n = {len(train[0])}, d = {train[0].shape[1]}: ")
    for shrink in (8, 4, 2):
        train, test = pair_of(data, ids, 1, shrink)
        measure(model, train, test, f"n = {len(train[0])}, d = {train[0].shape[1]}: ")


def pair_of(data: Dataset, ids: list[int], share: float, shrink: int) -> tuple[tuple, tuple]:
    """Images (n, d), uint8, and labels 0 and 1 of training, a share of each class, and of testing."""
    parts = []
    for part, kept in ((data.train, share), (data.test, 1.0)):
        members = [np.flatnonzero(part.labels == one) for one in ids]
        members = [rows[: round(kept * len(rows))] for rows in members]
        images = part.images[np.concatenate(members)]
        n, channels, height, width = images.shape
        small = images.reshape(n, channels, height // shrink, shrink, width // shrink, shrink).mean(axis=(3, 5))
        parts.append((flat(small.round().astype(np.uint8)), np.repeat([0, 1], [len(rows) for rows in members])))
    return parts[0], parts[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("classes", nargs="+")
    parser.add_argument("--qp-exact")
    parser.add_argument("--n-reference", type=int, default=10)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    data, model = read_image_folder("images", options.images, None), OneNearestNeighbor(device=options.device)
    if options.classes == ["all"]:
        train, test = ((flat(part.images), part.labels) for part in (data.train, data.test))
        found = timed(lambda: model.fit(*train).robust_radius(*test))
        report("all classes, L2 radii", *found, EPSILON * np.sqrt(train[0].shape[1]), floor(train[0], test[0]))
        print(f"{found[1]:.0f} s in all")
        return
    ids = [data.classes.index(name) for name in options.classes]
    train, test = pair_of(data, ids, 1, 1)
    model.fit(train[0][::50], train[1][::50]).robust_radius(
        test[0][:20]
    )  # so that no library is loaded in what is timed
    found = measure(model, train, test, "")
    rows = np.flatnonzero(found["L2 radii"][0].upper > 0)[: options.n_reference]
    start = time.perf_counter()
    theirs = np.array([by_highs(train, test[0][row], int(test[1][row])) for row in rows])
    compare("HiGHS, Linf radii", found["Linf radii"], theirs, rows, time.perf_counter() - start)
    if options.qp_exact:
        start = time.perf_counter()
        theirs = qp_exact(options.qp_exact, train, test[0][rows])
        compare("QP-exact, L2 radii", found["L2 radii"], theirs, rows, time.perf_counter() - start)
    if options.growth:
        growth(data, ids, model)


if __name__ == "__main__":
    main()
