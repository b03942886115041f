"""Exact l2 radii of 1NN on one pair of classes: time per image, set-up included, and against QP-exact in the same run.

    python benchmarks/exact_l2.py IMAGES FIRST SECOND [--reference CHECKOUT] [--n-reference 10] [--fractions 0.25 0.5 1]

IMAGES is a folder or tar of {train,test}/<class>/ images. CHECKOUT is a working copy of wangwllu/knn_robustness (arXiv
1906.03972), whose solver takes over a second for an image, so it gets the first few that are classified correctly.
`--fractions` are the shares of the training images that the growth with n is measured on.
"""

import argparse
import sys
import time

import numpy as np

from nnrobust.datasets import Dataset
from nnrobust.radius import exact_radii
from nnrobust.references import References
from nnrobust.screening import Rivals
from nnrobust.sources import read_image_folder

BLOCK = 250


def flat(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.reshape(len(images), -1))


def radii_of_pair(train: list[np.ndarray], test: list[np.ndarray]) -> np.ndarray:
    """Radii, in pixel range [0, 1], of all test images of two classes, from raw arrays on; next to 0 where 1NN is wrong."""
    centre = np.round(np.concatenate(train).mean(axis=0)).astype(np.float32)
    first, second = (References.of(points, centre) for points in train)
    rivals = Rivals.of(first, second)
    blocks = []
    for queries, facing in zip(test, (rivals, rivals.exchanged()), strict=True):
        blocks += [
            exact_radii(queries[start : start + BLOCK], facing, 16, 128) for start in range(0, len(queries), BLOCK)
        ]
    return np.concatenate([one.upper for one in blocks]) / 255


def reference(checkout: str, train: list[np.ndarray], queries: np.ndarray) -> tuple[float, np.ndarray]:
    """Seconds and radii of QP-exact, as its README runs it, on float64 pixels in [0, 1]."""
    sys.path.insert(0, checkout)
    from knn_robustness.nn_only import ExactSolver
    from knn_robustness.utils import QpSolverFactory

    points, labels = np.concatenate(train) / 255, np.repeat([0, 1], [len(one) for one in train])
    start = time.perf_counter()
    solver = ExactSolver(points, labels, QpSolverFactory().create("gcd"), 32, False)
    radii = np.array([np.linalg.norm(solver(query)) for query in queries / 255])
    return time.perf_counter() - start, radii


def pair_of(data: Dataset, first: str, second: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    ids = [data.classes.index(name) for name in (first, second)]
    return ([flat(part.images[part.labels == one]) for one in ids] for part in (data.train, data.test))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--reference")
    parser.add_argument("--n-reference", type=int, default=10)
    parser.add_argument("--fractions", type=float, nargs="+", default=[1.0])
    options = parser.parse_args()
    train, test = pair_of(read_image_folder("images", options.images, None), options.first, options.second)
    n_test = sum(len(one) for one in test)
    for share in options.fractions:
        part = [points[: round(share * len(points))] for points in train]
        start = time.perf_counter()
        radii = radii_of_pair(part, test)
        seconds = time.perf_counter() - start
        print(
            f"n = {sum(len(p) for p in part)}: {1000 * seconds / n_test:.2f} ms an image over {n_test}, set-up included"
        )
    if options.reference:
        some = np.flatnonzero(radii > 1e-3)[: options.n_reference]
        theirs, expected = reference(options.reference, train, np.concatenate(test)[some])
        difference = np.abs(radii[some] - expected) / expected
        each = theirs / options.n_reference
        print(f"QP-exact: {1000 * each:.0f} ms an image over {options.n_reference}; ratio {each / (seconds / n_test):.0f}; "
              f"largest relative difference of radii {difference.max():.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
