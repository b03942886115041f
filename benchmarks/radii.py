"""Processor time of the exact radius of 1NN on few points: in the plane, on digits, and of few queries on many images.

    OMP_NUM_THREADS=1 python benchmarks/radii.py [--images IMAGES --first airplane --second automobile]

The plane: 2,000 references; two halves of a square, a class each, of which every point of one faces every point of the other, two
moons, two clouds, and labels at random. Digits: all ten classes, 1,500 references, Linf in the box. IMAGES is a folder or tar of
{train,test}/<class>/ images: 20 queries on two of its classes, fit included. Run it again with another checkout in PYTHONPATH for
before and after. The least of the repeats counts, and every certificate is verified outside of the time.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits, make_moons

from nnrobust import OneNearestNeighbor

Problem = tuple[np.ndarray, np.ndarray, np.ndarray]
N_REFERENCES = 2000


def plane(generator: np.random.Generator, n_queries: int) -> Iterator[tuple[str, Problem]]:
    """Problems of the plane by name: references, labels, queries."""
    n = N_REFERENCES + n_queries
    square, labels = generator.random((n, 2)), generator.integers(0, 2, n)
    for name, points, y in (
        ("halves", square, (square[:, 0] > 0.5).astype(int)),
        ("moons", *make_moons(n, noise=0.1, random_state=0)),
        ("clouds", generator.standard_normal((n, 2)) + 3 * labels[:, None], labels),
        ("random labels", square, labels),
    ):
        yield name, (points[:N_REFERENCES], y[:N_REFERENCES], points[N_REFERENCES:])


def timed(problem: Problem, norm: str, box: tuple[float, float] | None, n_repeats: int, *, with_fit: bool) -> float:
    """Milliseconds of processor time a query."""
    points, y, queries = problem
    best, model = np.inf, OneNearestNeighbor().fit(points, y)
    model.robust_radius(queries[:1], norm=norm, box=box)
    for _ in range(n_repeats):
        start = time.process_time()
        model = OneNearestNeighbor().fit(points, y) if with_fit else model
        result = model.robust_radius(queries, norm=norm, box=box)
        best = min(best, time.process_time() - start)
    if not result.verify().all():
        raise SystemExit(f"expected certificates that hold, got {result.verify()}")
    n_bounded = int((result.status == "bounded").sum())
    if n_bounded:
        print(f"{norm}, box {box}: {n_bounded} of {len(queries)} radii bounded, not exact")
    return 1000 * best / len(queries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images")
    parser.add_argument("--first", default="airplane")
    parser.add_argument("--second", default="automobile")
    parser.add_argument("--n-queries", type=int, default=50)
    parser.add_argument("--n-repeats", type=int, default=3)
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    for name, problem in plane(generator, options.n_queries):
        box = (float(np.concatenate(problem[::2]).min()), float(np.concatenate(problem[::2]).max()))
        times = [
            f"{norm} {timed(problem, norm, None, options.n_repeats, with_fit=False):.2f} "
            f"({timed(problem, norm, box, options.n_repeats, with_fit=False):.2f} in a box)"
            for norm in ("L2", "Linf", "L1")
        ]
        print(f"plane, {name}: {', '.join(times)} ms a query", flush=True)
    digits, order = load_digits(), generator.permutation(1797)
    points, y = digits.data[order] / 16, digits.target[order]
    problem = points[:1500], y[:1500], points[1500 : 1500 + options.n_queries]
    print(
        f"digits, Linf in the box: {timed(problem, 'Linf', (0, 1), options.n_repeats, with_fit=False):.2f} ms a query"
    )
    if options.images:
        images(options, generator)


def images(options: argparse.Namespace, generator: np.random.Generator) -> None:
    """20 queries on two classes of images."""
    from nnrobust.data.sources import read_image_folder

    data = read_image_folder("images", options.images, None)
    ids = [data.classes.index(name) for name in (options.first, options.second)]
    train, test = ((part.images.reshape(len(part.images), -1), part.labels) for part in (data.train, data.test))
    kept = np.isin(train[1], ids)
    queries = test[0][generator.permutation(np.flatnonzero(np.isin(test[1], ids)))[:20]]
    for norm in ("L2", "Linf"):
        each = timed((train[0][kept], train[1][kept], queries), norm, None, options.n_repeats, with_fit=True)
        print(f"images, 20 queries, {norm}: {20 * each / 1000:.2f} s in all, fit included", flush=True)


if __name__ == "__main__":
    main()
