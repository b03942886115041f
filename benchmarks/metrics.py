"""What a metric does to the exact robustness of 1NN on two classes of images, and what its radii cost beside those of pixels.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py PREPARED [--classes cat dog] [--n 200] [--n-verified 20]

PREPARED is a folder that `dvc repro prepare` wrote. 1NN is fitted to all training images of the classes: on pixels, on principal
components, as they are and whitened by half, on low spatial frequencies, and on metrics that `learn_metric` learned for each
norm. The first n test images of each class are measured in both norms, without the box. `ratio`: seconds of processor of all
radii, over those of pixels. Certificates of the first few images are verified.
"""

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

from nnrobust import OneNearestNeighbor
from nnrobust.data.datasets import Split, load_dataset
from nnrobust.nearest.learned.metric_learning import learn_metric
from nnrobust.nearest.learned.projections import low_pass, principal_components
from nnrobust.simple.measured import as_points
from nnrobust.threat import ThreatModel, parse_epsilon

RANKS = (20, 40, 160)
"""Rows of learned metrics."""
Metric = np.ndarray | None


def metrics(train: Split, threats: list[ThreatModel]) -> Iterator[tuple[str, Callable[[], Metric]]]:
    """Metrics by name, made when they are asked for."""
    points, labels = as_points(train.images, np.float32), train.labels
    yield "pixels", lambda: None
    for rank in (40, 160):
        yield f"{rank} principal components", lambda n=rank: principal_components(points, n)  # type: ignore[misc]
    yield "40 of them, whitened by half", lambda: principal_components(points, 40, 0.5)
    yield "lowest 4 x 4 frequencies", lambda: low_pass(train.images.shape[1:], 4)
    for threat in threats:
        for rank in RANKS:
            yield (
                f"{rank} rows learned for {threat.norm}",
                lambda n=rank, t=threat: learn_metric(points, labels, t.norm, t.epsilon, n),  # type: ignore[misc]
            )


def measured(model: OneNearestNeighbor, test: Split, threat: ThreatModel, n_verified: int) -> tuple[str, float]:
    """The exact robust accuracy at epsilon in percent, with what is not exact or not verified, and seconds of processor."""
    points, start = as_points(test.images, np.float32), time.process_time()
    found = model.robust_radius(points, test.labels, norm=threat.norm)  # type: ignore[arg-type]
    seconds = time.process_time() - start
    n_open = int(((found.lower <= threat.epsilon) & (found.upper > threat.epsilon)).sum())
    n_refused = int((~found[:n_verified].verify()).sum())
    doubt = f" ({n_open} open, {n_refused} refused)" if n_open or n_refused else ""
    return f"{100 * (found.lower > threat.epsilon).mean():.2f}{doubt}", seconds


def of_classes(part: Split, class_ids: list[int], n: int | None) -> Split:
    """The first n images of each class, or all."""
    rows = np.concatenate([np.flatnonzero(part.labels == class_id)[:n] for class_id in class_ids])
    return part.take(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared")
    parser.add_argument("--classes", nargs="+", default=["cat", "dog"])
    parser.add_argument("--n", type=int, default=200, help="test images of a class")
    parser.add_argument("--n-verified", type=int, default=20, help="images whose certificates are verified")
    parser.add_argument("--epsilon", nargs=2, default=["8/255", "8/255*sqrt(3072)"], metavar=("LINF", "L2"))
    options = parser.parse_args()
    dataset = load_dataset(options.prepared).dataset
    class_ids = [dataset.classes.index(name) for name in options.classes]
    train, test = of_classes(dataset.train, class_ids, None), of_classes(dataset.test, class_ids, options.n)
    threats = [
        ThreatModel(norm, parse_epsilon(text)) for norm, text in zip(("Linf", "L2"), options.epsilon, strict=True)
    ]
    print(f"{' / '.join(options.classes)}, {len(test.labels)} test images, percent, exact\n")
    print("| metric | clean | Linf | L2 | making, s | ratio, Linf | ratio, L2 |\n|---|---|---|---|---|---|---|")
    of_pixels: list[float] = []
    for name, make in metrics(train, threats):
        start = time.process_time()
        metric = make()
        making = time.process_time() - start
        model = OneNearestNeighbor(metric=metric).fit(as_points(train.images, np.float32), train.labels)
        clean = 100 * (model.predict(as_points(test.images, np.float32)) == test.labels).mean()
        robust, seconds = zip(*(measured(model, test, threat, options.n_verified) for threat in threats), strict=True)
        of_pixels = of_pixels or list(seconds)
        ratios = " | ".join(f"{mine / first:.1f}" for mine, first in zip(seconds, of_pixels, strict=True))
        print(f"| {name} | {clean:.2f} | {' | '.join(robust)} | {making:.0f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
