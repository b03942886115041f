"""How far attacks end from the truth: on classifiers whose smallest perturbation within [0, 1] is known exactly.

    python benchmarks/known_optimum.py PREPARED [--classes cat dog] [--n 20] [--n-references 500] [--attacks fmn] [--out DIR]

PREPARED is a folder that `dvc repro prepare` wrote. 1NN and logistic regression are fitted to training images of the classes.
Each registered attack that is installed then tries test images one at a time, at epsilons a little above each image's own
optimum: the least such excess at which it succeeds, by bisection, is its gap. A minimum-norm attack's gap is how far beyond the
optimum its nearest point is. Writes gaps.csv (a row an image), table.md and figure.png.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from nnrobust import OneNearestNeighbor
from nnrobust.attacks.attack import KINDS, attack
from nnrobust.attacks.verdicts import AttackInputs, Verdicts
from nnrobust.attacks.victim import AttackSpec, of_network
from nnrobust.data.datasets import Split, load_dataset
from nnrobust.evaluation.modules import as_module
from nnrobust.figures.style import save, style
from nnrobust.linear.radius import linear_radius
from nnrobust.networks.ball import inner_radius
from nnrobust.runtime.outputs import finished_file, write_csv
from nnrobust.threat import ThreatModel

EXCESSES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of epsilon over the optimum, smallest first; what an attack misses at the last has an infinite gap."""
_MISSED = 20.0
"""Where the figure has what finds nothing at twice the optimum."""
VERDICT_AT = 0.01
"""The excess at which an image that still stands counts as a false verdict of robustness."""
STEPS = {"square": 1000, "fab": 50, "fab-t": 50}
"""Steps, of `square` queries; 100 of the others."""
LIBRARIES = {"pgd-foolbox": "foolbox", "pgd-cleverhans": "cleverhans", "apgd-ce-autoattack": "pyautoattack",
             "fab": "pyautoattack", "fab-t": "pyautoattack", "square": "pyautoattack"}  # fmt: skip
COLUMNS = ["classifier", "norm", "attack", "index", "optimum", "gap", "passes"]


class Counted(nn.Module):
    """A network that counts the images it is shown."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.n_passes = network, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.n_passes += len(x)
        return self.network(x)


@dataclass(frozen=True)
class Known:
    """A classifier as a module, and the exact radii (n,) of images by norm."""

    name: str
    network: nn.Module
    optima: dict[str, np.ndarray]


def of_classes(part: Split, class_ids: list[int], n: int) -> Split:
    """The first n images of each class, in turn."""
    rows = np.stack([np.flatnonzero(part.labels == class_id)[:n] for class_id in class_ids], axis=1).ravel()
    return Split(
        np.asarray(part.images[rows]), np.searchsorted(class_ids, part.labels[rows]), [part.names[i] for i in rows]
    )


def known_classifiers(train: Split, test: Split) -> list[Known]:
    """1NN and logistic regression, fitted to pixels in [0, 1]."""
    points, queries = (part.images.reshape(len(part.labels), -1) / 255 for part in (train, test))
    nearest = OneNearestNeighbor().fit(points, train.labels)
    linear = LogisticRegression(C=0.01, max_iter=2000).fit(points, train.labels)
    found = []
    for name, model in (("1NN", nearest), ("logistic regression", linear)):
        optima = {}
        for norm in ("Linf", "L2"):
            exact: Callable[..., Any] = model.robust_radius if model is nearest else _of_linear(linear)
            optima[norm] = exact(queries, test.labels, norm=norm, box=(0.0, 1.0)).upper
        found.append(Known(name, as_module(model), optima))
    return found


def _of_linear(model: LogisticRegression) -> Callable[..., Any]:
    return lambda *given, **options: linear_radius(model, *given, **options)


def gap_of(network: nn.Module, inputs: AttackInputs, optimum: float, norm: str, spec: AttackSpec) -> tuple[float, int]:
    """The gap of an attack on one image, infinite where it finds nothing at twice the optimum, and how often it was run."""

    def verdict(excess: float) -> Verdicts:
        # The ball that attacks search is a little smaller than the one that is asked for.
        wanted = ThreatModel(norm, optimum * (1 + excess))
        threat = ThreatModel(norm, wanted.epsilon**2 / inner_radius(wanted))
        return attack(of_network(network), inputs, [threat], [spec], torch.device("cpu"))[norm]

    if KINDS[spec.name].is_minimum_norm:
        return float(np.nan_to_num(verdict(EXCESSES[-1]).perturbation_norm[0] / optimum - 1, nan=np.inf)), 1
    low, high, n_runs = 0, len(EXCESSES), 0  # a success at the position `high`, none below `low`
    while low < high:
        middle, n_runs = (low + high) // 2, n_runs + 1
        if verdict(EXCESSES[middle]).is_fooled[0]:
            high = middle
        else:
            low = middle + 1
    return (*EXCESSES, np.inf)[low], n_runs


def gaps(known: Known, test: Split, norm: str, spec: AttackSpec, n: int) -> list[dict[str, object]]:
    """The gap of an attack on the first n images that the classifier is right on."""
    rows = np.flatnonzero(np.isfinite(known.optima[norm]) & (known.optima[norm] > 1e-3))[:n]
    found = []
    for row in rows:
        counted = Counted(known.network)
        inputs = AttackInputs(test.images[[row]], test.labels[[row]], np.zeros(1, np.int64), np.array([row]))
        gap, n_runs = gap_of(counted, inputs, float(known.optima[norm][row]), norm, spec)
        values = (known.name, norm, spec.name, row, known.optima[norm][row], gap, counted.n_passes / n_runs)
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each classifier, norm and attack: median and 95th percentile of the gap, false verdicts, passes an image."""
    parts = []
    for (classifier, norm, name), mine in table.groupby(["classifier", "norm", "attack"], sort=False):
        low, high = (float(np.quantile(mine["gap"], share, method="higher")) for share in (0.5, 0.95))
        false = float((mine["gap"] > VERDICT_AT).mean())
        parts.append((classifier, norm, name, len(mine), low, high, false, float(mine["passes"].mean())))
    names = ["classifier", "norm", "attack", "n", "median_gap", "gap_95", "false_robust", "passes"]
    return pd.DataFrame(parts, columns=names)


def percent(gap: float) -> str:
    """A gap to two digits."""
    return "missed" if np.isinf(gap) else f"{float(f'{100 * gap:.2g}'):g} %"


def markdown(rows: pd.DataFrame) -> str:
    lines = ["| classifier | norm | attack | n | median gap | 95th percentile | false \"robust\" at +1 % | passes an image |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in rows.itertuples():
        low, high = map(percent, (row.median_gap, row.gap_95))
        lines.append(f"| {row.classifier} | {row.norm} | `{row.attack}` | {row.n} | {low} | {high} | "
                     f"{100 * row.false_robust:.0f} % | {row.passes:,.0f} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def drawn(rows: pd.DataFrame) -> Figure:
    """A panel for each classifier and norm: of each attack the median gap, and a line to the 95th percentile."""
    figure = Figure(figsize=(7.2, 5.6))
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    names = list(dict.fromkeys(rows["attack"]))
    for axes, ((classifier, norm), mine) in zip(
        panels.flat, rows.groupby(["classifier", "norm"], sort=False), strict=False
    ):
        places = [names.index(name) for name in mine["attack"]]
        medians, ends = (mine[name].replace(np.inf, _MISSED).to_numpy() for name in ("median_gap", "gap_95"))
        axes.hlines(places, medians, ends, color="0.6", linewidth=2)
        axes.plot(ends, places, "|", color="0.4", markersize=7)
        axes.plot(medians, places, "o", markersize=5)
        axes.axvline(VERDICT_AT, color="0.3", linestyle=":", linewidth=1)
        axes.set(xscale="log", title=f"{classifier}, {norm}")
    panels[0, 0].invert_yaxis()
    panels[0, 0].set_yticks(range(len(names)), names)
    panels[0, 0].set_xticks([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, _MISSED],
                            ["0.001", "0.01", "0.1", "1", "10", "100", "missed"])  # fmt: skip
    panels[0, 0].minorticks_off()
    figure.supxlabel("epsilon beyond the optimum at which images fall (%): median (dot) to 95th percentile", fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared")
    parser.add_argument("--classes", nargs="+", default=["cat", "dog"])
    parser.add_argument("--n", type=int, default=20, help="images of each classifier, norm and attack")
    parser.add_argument("--n-references", type=int, default=500, help="training images of a class")
    parser.add_argument("--attacks", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--out", type=Path, default=Path("known-optimum"))
    options = parser.parse_args()
    dataset = load_dataset(options.prepared).dataset
    class_ids = sorted(dataset.classes.index(name) for name in options.classes)
    train, test = (
        of_classes(dataset.train, class_ids, options.n_references),
        of_classes(dataset.test, class_ids, 4 * options.n),
    )
    wanted = [name for name in options.attacks if KINDS[name].n_classes <= len(class_ids)
              and (name not in LIBRARIES or find_spec(LIBRARIES[name]))]  # fmt: skip
    rows: list[dict[str, object]] = []
    for known in known_classifiers(train, test):
        for norm in ("Linf", "L2"):
            for name in wanted:
                start = time.perf_counter()
                rows += gaps(known, test, norm, AttackSpec(name, STEPS.get(name, 100), 1, 0), options.n)
                table = pd.DataFrame(rows, columns=COLUMNS)
                write_csv(options.out / "gaps.csv", table.round(6))
                print(f"{known.name}, {norm}, {name}: {time.perf_counter() - start:.0f} s", flush=True)
    summed = summary(table)
    with finished_file(options.out / "table.md") as temporary:
        temporary.write_text(markdown(summed), encoding="utf-8")
    with style():
        save(drawn(summed), options.out / "figure.png", 110)
    print(markdown(summed))


if __name__ == "__main__":
    main()
