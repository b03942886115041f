"""Accuracies out of per-example records, with Wilson intervals and against epsilon, and the checks that records must pass."""

from itertools import pairwise, permutations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from nnrobust.errors import RecordError
from nnrobust.records import ALL_CLASSES
from nnrobust.threat import ThreatModel

CERTIFICATES = {"half gap": "radius_half_gap", "bisector": "radius_bisector"}
"""The certificates of 1NN, weakest first, and the column that holds each one's radius."""
LOWER_BOUND = "lower bound"
"""What is proven of a classifier without such certificates where some verdict is not exact."""
LINEAR_BOUNDS = "linear bounds"
"""What is proven of a network, as its records call it."""
EXACT = {"exact": ("radius_lower", "radius_upper"), "exact in box": ("box_radius_lower", "box_radius_upper")}
"""Exact verdicts, without and with the box [0, 1], and the columns that hold the bounds of the radius."""
SUMMARY_NAMES = {
    "half gap": "half_gap_accuracy",
    "bisector": "certified_accuracy",
    LOWER_BOUND: "certified_accuracy",
    LINEAR_BOUNDS: "certified_accuracy",
    "exact": "exact_accuracy",
    "exact in box": "exact_in_box_accuracy",
}
TABLE_COLUMNS = [
    "classifier", "pair", "split", "norm", "epsilon", "kind", "method", "n", "n_correct", "n_robust",
    "clean_accuracy", "clean_accuracy_low", "clean_accuracy_high",
    "robust_accuracy", "robust_accuracy_low", "robust_accuracy_high",
]  # fmt: skip
_GROUP = ["classifier", "pair", "split", "norm", "epsilon", "kind"]


def wilson_interval(n_successes: np.ndarray, n: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the Wilson score interval of a proportion, each in [0, 1].

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    n = np.asarray(n, dtype=np.float64)
    z = ndtri(0.5 + confidence / 2)
    p = np.asarray(n_successes) / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At p = 0 and p = 1 the bound is exact, and rounding would put it beside the proportion itself.
    return np.where(p == 0, 0.0, np.maximum(centre - half, 0)), np.where(p == 1, 1.0, np.minimum(centre + half, 1))


def accuracy_table(records: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row for each classifier, pair, split, threat model and method.

    Columns: those, `kind`, `n`, `n_correct`, `n_robust`, `clean_accuracy` and `robust_accuracy` in [0, 1], each with `_low` and
    `_high`, the ends of its Wilson interval. For kind certified the robust accuracy is the fraction proven, a lower bound; for
    attacked it is the fraction that the attacks left standing, an upper bound; for exact it is neither. Several attacks have a
    row for the first, one for the first two (`apgd-ce + apgd-margin`), and so on.
    Rows whose status is not `ok` are not counted.
    """
    counted = records[records["status"] == "ok"]
    tables = []
    networks = counted[counted["kind"] == "attacked"]
    for names, part in networks.groupby(networks["attacks"].astype(str), sort=False):
        tables += _withstood(part, str(names).split(" + "))
    proven = counted[counted["kind"] != "attacked"]
    tables += _proven(proven) if len(proven) else []
    return _with_rates(tables, confidence)


def certified_table(records: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The columns of `accuracy_table` for the certified records of a network, whose attacked ones have a table of their own."""
    counted = records[records["status"] == "ok"]
    return _with_rates([_counts(counted, counted["is_robust"], LINEAR_BOUNDS)] if len(counted) else [], confidence)


def _with_rates(tables: list[pd.DataFrame], confidence: float) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=TABLE_COLUMNS)
    table = pd.concat(tables, ignore_index=True)
    for rate, count in (("clean_accuracy", "n_correct"), ("robust_accuracy", "n_robust")):
        table[rate] = table[count] / table["n"]
        low, high = wilson_interval(table[count].to_numpy(), table["n"].to_numpy(), confidence)
        table[f"{rate}_low"], table[f"{rate}_high"] = low, high
    return table[TABLE_COLUMNS]


def _proven(records: pd.DataFrame) -> list[pd.DataFrame]:
    """The counts of each certificate that the records have, and of the exact verdicts where a problem has no others."""
    tables = []
    for name, column in CERTIFICATES.items():
        mine = records[records[column].notna()]
        if len(mine):
            is_certified = mine["is_correct"] & (mine[column] > mine["epsilon"])
            tables.append(_counts(mine.assign(kind="certified"), is_certified, name))
    for name, (lower, upper) in EXACT.items():
        is_robust = records["is_correct"] & (records[lower] > records["epsilon"])
        chosen = _is_exact_throughout(records, is_robust | (records[upper] <= records["epsilon"]))
        is_left = ~chosen & records["radius_bisector"].isna() & (name == "exact")
        for rows, kind, method in ((chosen, "exact", name), (is_left, "certified", LOWER_BOUND)):
            if rows.any():
                tables.append(_counts(records[rows].assign(kind=kind), is_robust[rows], method))
    return tables


def _withstood(records: pd.DataFrame, names: list[str]) -> list[pd.DataFrame]:
    """The counts of what stands after the first attack, after the first two, and so on."""
    fell_to = records["method"].astype(str).str.split(" (", regex=False).str[0]
    tables = []
    for n in range(1, len(names) + 1):
        stands = records["is_correct"] & (records["is_robust"] | ~fell_to.isin(names[:n]))
        tables.append(_counts(records, stands, " + ".join(names[:n])))
    return tables


def union_table(records: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row for each classifier, pair and split: the images right and robust under every threat model at once.

    Images that lack a verdict under one of the records' threat models are not counted.
    Columns: those, `kind`, `n`, `n_robust`, `robust_accuracy` in [0, 1] with `_low` and `_high`, the ends of its Wilson interval.
    `kind` is the weakest of its records: `attacked` (an upper bound), `certified` (a lower bound), else `exact`.
    """
    counted = records[records["status"] == "ok"]
    key = ["classifier", "pair", "split", "index"]
    columns = counted.astype(dict.fromkeys([*key[:3], "kind"], str))
    # In the alphabet as in strength: attacked, certified, exact. So the least of several kinds is the weakest.
    images = columns.groupby(key, sort=False, as_index=False).agg(
        n_robust=("is_robust", "min"), kind=("kind", "min"), n_threats=("norm", "size")
    )
    # Of all records: a threat model without any verdict is one too.
    images = images[images["n_threats"] == len(records[["norm", "epsilon"]].drop_duplicates())]
    table = images.groupby(key[:3], sort=False, as_index=False).agg(
        kind=("kind", "min"), n=("index", "size"), n_robust=("n_robust", "sum")
    )
    table["robust_accuracy"] = table["n_robust"] / table["n"]
    low, high = wilson_interval(table["n_robust"].to_numpy(), table["n"].to_numpy(), confidence)
    return table.assign(robust_accuracy_low=low, robust_accuracy_high=high)


def strongest(table: pd.DataFrame) -> pd.DataFrame:
    """An accuracy table, or its means over pairs, with one row for each set of attacks: the one for all of them."""
    # As text, as the column of a table read from a file is of numbers where all of it is missing.
    n_attacks = table["method"].astype(str).str.count(r" \+ ").where(table["kind"] == "attacked", 0)
    return table[n_attacks == n_attacks.groupby([table["classifier"], table["kind"]]).transform("max")]


def _is_exact_throughout(proven: pd.DataFrame, is_exact: pd.Series) -> pd.Series:
    """Which rows belong to a problem that every row has an exact verdict in."""
    return is_exact.groupby([proven[name].astype(str) for name in ("pair", "split", "norm")]).transform("all")


def _counts(records: pd.DataFrame, is_robust: pd.Series, method: object) -> pd.DataFrame:
    rows = records[_GROUP].astype({name: str for name in _GROUP if name != "epsilon"})
    rows = rows.assign(method=method, n=1, n_correct=records["is_correct"].astype(int), n_robust=is_robust.astype(int))
    return rows.groupby([*_GROUP, "method"], sort=False, as_index=False)[["n", "n_correct", "n_robust"]].sum()


def mean_over_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard error and number of pairs of both accuracies, for each classifier, split, norm and method."""
    pairs = table[table["pair"] != ALL_CLASSES]
    grouped = pairs.groupby(["classifier", "split", "norm", "kind", "method"], sort=False, as_index=False)
    return grouped.agg(
        n_pairs=("pair", "size"),
        clean_accuracy=("clean_accuracy", "mean"),
        clean_error=("clean_accuracy", standard_error),
        robust_accuracy=("robust_accuracy", "mean"),
        robust_error=("robust_accuracy", standard_error),
    )


def standard_error(values: pd.Series | np.ndarray) -> float:
    """The standard error of the mean of values (n,); 0 for a single one."""
    return float(np.std(np.asarray(values), ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def summary(table: pd.DataFrame, n_decimals: int) -> dict[str, dict[str, object]]:
    """The few numbers that `dvc metrics diff` compares: means over pairs by classifier and split, and all classes at once.

    Keys name what a number is: `clean_accuracy`, `exact_accuracy`, `certified_accuracy` (a lower bound, by the better
    certificate), `half_gap_accuracy` (certified by theorem 1 alone), `robust_accuracy` (an upper bound, by all attacks).
    """
    result: dict[str, dict[str, object]] = {}
    everything = strongest(table[table["pair"] == ALL_CLASSES])
    everything = everything.assign(classifier=everything["classifier"].astype(str) + "_all_classes")
    for row in [*strongest(mean_over_pairs(table)).itertuples(), *everything.itertuples()]:
        cell = result.setdefault(str(row.classifier), {}).setdefault(str(row.split), {})
        assert isinstance(cell, dict)
        cell["clean_accuracy"] = round(float(row.clean_accuracy), n_decimals)
        name = SUMMARY_NAMES.get(str(row.method), "robust_accuracy")
        if name != "half_gap_accuracy" or row.norm == "L2":
            cell[f"{row.norm}_{name}"] = round(float(row.robust_accuracy), n_decimals)
    return result


def check_threat_models(records: pd.DataFrame, n_dimensions: int) -> None:
    """Checks that no image withstands a threat model that contains one it falls to: that would prove the attack weak.

    A certificate that does not reach epsilon is no fall.

    Raises:
        RecordError: naming classifier, pair, split and the first such image.
    """
    threats = [
        ThreatModel(str(one.norm), float(one.epsilon))
        for one in records[["norm", "epsilon"]].drop_duplicates().itertuples(index=False)
    ]
    key = ["classifier", "pair", "split", "index"]
    is_known = records["is_robust"] | (records["kind"] != "certified")
    known = records[is_known].astype(dict.fromkeys((*key[:3], "norm"), str))
    for inner, outer in permutations(threats, 2):
        if not outer.contains(inner, n_dimensions):
            continue
        fell = known.loc[(known["norm"] == inner.norm) & (known["epsilon"] == inner.epsilon) & ~known["is_robust"], key]
        stood = known.loc[(known["norm"] == outer.norm) & (known["epsilon"] == outer.epsilon) & known["is_robust"], key]
        both = fell.merge(stood, on=key)
        if len(both):
            raise RecordError(
                f"{len(both)} images fall to {inner.norm} {inner.epsilon:.6g} but withstand {outer.norm} "
                f"{outer.epsilon:.6g}, which contains it; the first: {both.iloc[0].to_dict()}"
            )


def check_certificates(records: pd.DataFrame) -> None:
    """Checks that half gap <= bisector bound <= upper end of the radius, of those that a proven record has.

    Raises:
        RecordError: naming the first image where it does.
    """
    proven = records[records["kind"] != "attacked"]
    chain = ("radius_half_gap", "radius_bisector", "radius_upper", "box_radius_upper")
    for lower, upper in pairwise(chain):
        wrong = proven[proven[lower] > proven[upper] * (1 + 1e-9)]
        if len(wrong):
            raise RecordError(f"{len(wrong)} images have {lower} > {upper}; the first: {wrong.iloc[0].to_dict()}")


BOUNDS = {**{name: (column, column) for name, column in CERTIFICATES.items()}, **EXACT}
"""The columns of the records that hold the radius by each method of proof, from below and from above."""


def epsilon_curves(records: pd.DataFrame, split: str, n_points: int, end: float) -> pd.DataFrame:
    """Robust accuracy of one classifier at `n_points` epsilons from 0 to `end` times the recorded one, in percent.

    Columns: `classifier`, `problem` (`pairs`: the mean over pairs; `all`: all classes at once), `norm`, `epsilon`, `method`,
    `kind`, `accuracy`, `error` (standard error of the mean over pairs), `open` (what the verdicts that are not exact could
    add), `n_problems`. Exact at epsilon 0 it is the clean accuracy without ties. Of networks it is the share of images that no
    attack has fooled within epsilon, an upper bound; only a minimum-norm attack makes it a good one away from the recorded
    epsilon. Only test images have full radii in exact records.
    """
    rows = []
    mine = records[(records["split"] == split) & (records["status"] == "ok")]
    for norm, part in mine.groupby(mine["norm"].astype(str)):
        grid = np.linspace(0, end, n_points) * float(part["epsilon"].iloc[0])
        problems = [(str(name), problem_rows) for name, problem_rows in part.groupby(part["pair"].astype(str))]
        for problem, chosen in (
            ("pairs", [problem_rows for name, problem_rows in problems if name != ALL_CLASSES]),
            ("all", [problem_rows for name, problem_rows in problems if name == ALL_CLASSES]),
        ):
            for method, kind, lower, upper in _methods(part) if chosen else ():
                rates = 100 * np.stack([_share_above(problem_rows[lower], grid) for problem_rows in chosen])
                bounds = 100 * np.stack([_share_above(problem_rows[upper], grid) for problem_rows in chosen])
                rows += [
                    {
                        "classifier": str(part["classifier"].iloc[0]), "problem": problem, "norm": norm, "epsilon": epsilon,
                        "method": method, "kind": kind, "accuracy": rates[:, i].mean(),
                        "error": standard_error(rates[:, i]), "open": (bounds - rates)[:, i].mean(), "n_problems": len(chosen),
                    }
                    for i, epsilon in enumerate(grid)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def _methods(records: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Method, kind, and the columns that bound the radius from below and from above."""
    if records["kind"].iloc[0] == "attacked":
        return [(str(records["attacks"].iloc[0]), "attacked", "radius_upper", "radius_upper")]
    there = [(name, columns) for name, columns in BOUNDS.items() if records[columns[0]].notna().any()]
    return [(name, "exact" if name in EXACT else "certified", *columns) for name, columns in there]


def _share_above(radii: pd.Series, grid: np.ndarray) -> np.ndarray:
    """The share of radii above each value of the grid; a wrong image has radius 0."""
    ordered = np.sort(radii.to_numpy())
    return 1 - np.searchsorted(ordered, grid, side="right") / len(ordered)
