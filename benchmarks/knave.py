"""Exact k nearest neighbours beside what kNAVe certifies, on its data sets: Linf, features scaled to [0, 1], no box.

    python benchmarks/knave.py CHECKOUT [--datasets diabetes fourclass] [--k 1 3 5 7] [--n 50] [--published] [--out TABLE.csv]

CHECKOUT is a working copy of abstract-machine-learning/kNAVe (Fassina, Ranzato, Zanella, ICDM 2023), whose code is run from
there. A query is stable at epsilon where all points within epsilon have one label. kNAVe proves it by intervals or by zonotopes,
one epsilon at a time; our radius tells all of them. Each gets the first n test points. Times are of the processor, on one thread.
With --published kNAVe is not run: beside our verdicts on all test points stand the shares in published_knn.csv, of kNAVe and of
the exact certifier of Ranzato, Shakeel and Zanella (CCS 2025), as the latter's repository shakehd/KNN_Certifier has them.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
from sklearn.datasets import load_svmlight_files
from sklearn.preprocessing import MinMaxScaler

from nnrobust import KNearestNeighbor
from nnrobust.runtime.outputs import write_csv
from nnrobust.runtime.threads import on_one_thread

EPSILONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05)
PUBLISHED = Path(__file__).parent / "published_knn.csv"
"""Percent of all test points; digits after the first are cut off in `exact`."""
N_VERIFIED = 100
"""Certificates of a row that are verified."""
FILES = {"letter": "letter.scale", "satimage": "satimage.scale"}
"""Of data sets whose files have other names."""


def points_of(checkout: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """References (n, d), their labels (n,) and queries (m, d), scaled to the range of the references."""
    path = str(checkout / "src" / "datasets" / FILES.get(name, name))
    x, y, queries, _ = load_svmlight_files([path, f"{path}.t"])
    scaler = MinMaxScaler().fit(x.toarray())
    return scaler.transform(x.toarray()), y, scaler.transform(queries.toarray())


def knave(x: np.ndarray, y: np.ndarray, abstraction: str) -> Any:
    """Its classifier by intervals or zonotopes, fitted."""
    from robustness.abstract_classifiers import IntervalClassifier, RafClassifier
    from robustness.dataset import Dataset

    classifier = {"intervals": IntervalClassifier, "zonotopes": RafClassifier}[abstraction]()
    classifier.fit(Dataset(x.tolist(), y.tolist()))
    return classifier


@on_one_thread
def rows_of(name: str, data: tuple[np.ndarray, np.ndarray, np.ndarray], ks: list[int]) -> list[dict[str, object]]:
    """A row for each k and epsilon: the share that is stable, exact and as certified, and milliseconds a query."""
    x, y, queries = data
    radii = {}
    for k in ks:
        start = time.process_time()
        radii[k] = KNearestNeighbor(k).fit(x, y).robust_radius(queries, norm="Linf"), time.process_time() - start
    certified: dict[str, dict[float, tuple[np.ndarray, float]]] = {}
    for abstraction in ("intervals", "zonotopes"):
        from robustness.perturbations import Linfinity

        classifier = knave(x, y, abstraction)
        for epsilon in EPSILONS:
            ball, start = Linfinity(epsilon, [None] * x.shape[1]), time.process_time()
            found = [classifier.classify(ball.perturb(query.tolist()), list(ks), "euclidean") for query in queries]
            stable = np.array([[len(one[k]) == 1 for k in ks] for one in found])
            certified.setdefault(abstraction, {})[epsilon] = stable, time.process_time() - start
    rows: list[dict[str, object]] = []
    for place, k in enumerate(ks):
        found, seconds = radii[k]
        for epsilon in EPSILONS:
            ours = found.lower > epsilon
            row: dict[str, object] = {
                "dataset": name,
                "n": len(x),
                "d": x.shape[1],
                "k": k,
                "queries": len(queries),
                "epsilon": epsilon,
                "exact": (found.status == "exact").mean(),
                "stable": ours.mean(),
                "ms": 1000 * seconds / len(queries),
            }
            for abstraction, known in certified.items():
                stable, spent = known[epsilon][0][:, place], known[epsilon][1]
                row |= {
                    abstraction: stable.mean(),
                    f"{abstraction}_ms": 1000 * spent / len(ks) / len(queries),
                    f"{abstraction}_refuted": int((stable & (found.upper <= epsilon)).sum()),
                }
            rows.append(row)
    return rows


@on_one_thread
def beside_published(
    name: str, data: tuple[np.ndarray, np.ndarray, np.ndarray], ks: list[int]
) -> list[dict[str, object]]:
    """A row for each k and epsilon that shares are published of: percent of the queries that are stable, ours and theirs."""
    x, y, queries = data
    table = pd.read_csv(PUBLISHED)
    rows: list[dict[str, object]] = []
    for k in ks:
        model = KNearestNeighbor(k).fit(x, y)
        for known in table[(table["dataset"] == name) & (table["k"] == k)].itertuples():
            start = time.process_time()
            found = model.robust_radius(queries, norm="Linf", epsilon=float(known.epsilon))
            seconds = time.process_time() - start
            stable = found.lower > known.epsilon
            ours = 100 * stable.mean()
            rows.append(
                {
                    "dataset": name,
                    "n": len(x),
                    "d": x.shape[1],
                    "k": k,
                    "queries": len(queries),
                    "epsilon": known.epsilon,
                    "open": int((~stable & (found.upper > known.epsilon)).sum()),
                    "ours": ours,
                    "theirs": known.exact,
                    "knave": known.knave,
                    "apart": round((ours - known.exact) * len(queries) / 100, 1),
                    "ms": 1000 * seconds / len(queries),
                    "hold": bool(found[:N_VERIFIED].verify().all()),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--datasets", nargs="+", default=["diabetes", "breast-cancer", "fourclass"])
    parser.add_argument("--k", nargs="+", type=int, default=[1, 3, 5, 7])
    parser.add_argument("--n", type=int, default=50, help="test points of each data set, where kNAVe is run")
    parser.add_argument("--published", action="store_true", help="beside published shares, on all test points")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    checkout, out = options.checkout.resolve(), options.out and options.out.resolve()
    os.chdir(checkout / "src")  # where it looks for its settings
    sys.path.insert(0, str(checkout / "src"))
    # For annotations and a menu, neither of which is needed here; the first does not run with NumPy 2.
    sys.modules |= {"nptyping": Mock(), "pick": Mock()}
    rows: list[dict[str, object]] = []
    for name in options.datasets:
        x, y, queries = points_of(checkout, name)
        if options.published:
            some = beside_published(name, (x, y, queries), options.k)
        else:
            some = rows_of(name, (x, y, queries[: options.n]), options.k)
        print(pd.DataFrame(some).round(3).to_string(index=False), flush=True)
        rows += some
    if out:
        write_csv(out, pd.DataFrame(rows))


if __name__ == "__main__":
    main()
