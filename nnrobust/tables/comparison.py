"""Classifiers side by side over pairs: intervals of means and of differences, paired tests, spread over seeds."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.special import bdtr, stdtrit

from nnrobust.records import ALL_CLASSES
from nnrobust.tables.accuracy import (
    LINEAR_BOUNDS,
    LOWER_BOUND,
    accuracy_table,
    strongest,
    union_table,
    wilson_interval,
)

HEADLINE = ("exact", "bisector", LOWER_BOUND)
"""The proofs whose numbers stand for a classifier, the first there is. For networks it is all attacks together."""
NORMS = ("Linf", "L2")
PROVEN = {norm: f"{norm} proven" for norm in NORMS}
"""By norm, the measure of what is proven: of a classifier with exact radii its accuracy, of a network a lower bound."""
MEASURES = ("clean", *NORMS, "mean", "union")
"""`mean`: of both norms' robust accuracies, half of the sum that the paper plots. `union`: robust in both at once."""

SCORES = ["classifier", "split", "pair", "measure", "kind", "value"]
COMMON = [*SCORES, "other"]
PAIRED = [
    "first", "second", "split", "measure", "n_pairs", "n_ahead", "n_equal", "n_behind", "difference", "low", "high", "sign_p",
    "wilcoxon_p", "is_comparable",
]  # fmt: skip


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of an accuracy table, or of means over pairs, that figures and claims use: one for each problem and norm."""
    wanted = strongest(table[table["method"].isin(HEADLINE) | (table["kind"] == "attacked")])
    rank = wanted["method"].map({name: place for place, name in enumerate(HEADLINE)}).fillna(0)
    key = [name for name in ("classifier", "pair", "split", "norm") if name in table]
    # By position: tables that were joined may repeat an index.
    return wanted.iloc[rank.to_numpy().argsort(kind="stable")].drop_duplicates(key).sort_index(kind="stable")


def zoo_headline(table: pd.DataFrame) -> pd.DataFrame:
    """The `headline` of a table of pretrained models: 1NN on all classes, and the models that are measured, by split and norm.

    A model that has no verdict on some image is not measured: its others are no sample.
    """
    is_measured = (table["status"] == "ok").groupby(table["classifier"]).transform("all")
    rows = headline(table[is_measured])
    return rows[(rows["classifier"] != "1NN") | (rows["pair"] == ALL_CLASSES)]


def scores(table: pd.DataFrame, unions: pd.DataFrame) -> pd.DataFrame:
    """One row for each classifier, split, pair and measure of `MEASURES`: `value` in [0, 1] and its `kind`.

    From an `accuracy_table` and a `union_table`, by their counts, as stored rates are rounded. The kind of `mean` names both
    where they differ; what was measured in one norm alone has no mean. Where something is proven of networks, there are the
    measures `PROVEN` too.
    """
    proven = [_proven(table)] if (table["method"] == LINEAR_BOUNDS).any() else []
    return _in_order([*_measured(table, unions), *proven])


def _in_order(parts: list[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(parts, ignore_index=True)[SCORES]
    order = rows["measure"].map({name: place for place, name in enumerate((*MEASURES, *PROVEN.values()))})
    rows = rows.assign(value=rows["value"].astype(float), order=order).dropna(subset="value")
    keys = ["classifier", "split", "pair", "order"]
    return rows.sort_values(keys, kind="stable").drop(columns="order").reset_index(drop=True)


def _measured(table: pd.DataFrame, unions: pd.DataFrame) -> list[pd.DataFrame]:
    """The scores of the measures `MEASURES`."""
    key = ["classifier", "split", "pair"]
    mine = headline(table[table["pair"] != ALL_CLASSES])
    mine = mine.assign(clean=mine["n_correct"] / mine["n"], robust=mine["n_robust"] / mine["n"])
    wide = mine.pivot(index=key, columns="norm", values=["clean", "robust", "kind"])
    robust, proofs = (wide[name].reindex(columns=list(NORMS)) for name in ("robust", "kind"))
    kinds = [" and ".join(dict.fromkeys(map(str, row))) for row in proofs.to_numpy()]
    whole = unions[unions["pair"] != ALL_CLASSES].set_index(key)
    parts = [
        pd.DataFrame({"value": wide["clean"].astype(float).mean(axis=1), "kind": "measured", "measure": "clean"}),
        pd.DataFrame({"value": robust.astype(float).mean(axis=1, skipna=False), "kind": kinds, "measure": "mean"}),
        pd.DataFrame({"value": whole["n_robust"] / whole["n"], "kind": whole["kind"], "measure": "union"}),
    ]
    parts += [pd.DataFrame({"value": robust[norm], "kind": proofs[norm], "measure": norm}) for norm in NORMS]
    return [part.reset_index() for part in parts]


def proven_lines(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of an accuracy table that prove something, one for each problem and norm: exact ones first, then lower bounds."""
    lines = table[table["method"].isin([*HEADLINE, LINEAR_BOUNDS]) & table["norm"].isin(NORMS)]
    rank = lines["method"].map({name: place for place, name in enumerate((*HEADLINE, LINEAR_BOUNDS))})
    lines = lines.iloc[rank.to_numpy().argsort(kind="stable")]
    return lines.drop_duplicates(["classifier", "pair", "split", "norm"])


def _proven(table: pd.DataFrame) -> pd.DataFrame:
    """The scores of the measures `PROVEN`."""
    lines = proven_lines(table[table["pair"] != ALL_CLASSES])
    return lines.assign(measure=lines["norm"].map(PROVEN), value=lines["n_robust"] / lines["n"])


def common_scores(records: Iterable[pd.DataFrame], confidence: float) -> pd.DataFrame:
    """The scores of each classifier on the images that another one has too, on the pairs where these are not all that it has.

    From the records of each; an image is had where there is a verdict on it. Columns: those of `scores`, and `other`, with
    whom the images are shared; where two have the pair and no image of it in common, `value` is missing.
    """
    known = (table[(table["pair"] != ALL_CLASSES) & (table["status"] == "ok")] for table in records)
    pairs = {str(table["classifier"].iloc[0]): table for table in known if len(table)}
    places = _places(pairs)
    samples: dict[bytes, list[str]] = {}
    for name in pairs:
        samples.setdefault(np.sort(places[name]).tobytes(), []).append(name)
    tables = [pd.DataFrame(columns=COMMON)]
    for name, table in pairs.items():
        for others in samples.values():
            if name not in others:
                is_shared = np.isin(places[name], places[others[0]])
                found = _on_shared(table, is_shared, pairs[others[0]], confidence)
                tables += [found.assign(other=other) for other in others if len(found)]
    return pd.concat(tables[1:], ignore_index=True)[COMMON] if tables[1:] else tables[0]


def _places(records: Mapping[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """By classifier, a number for each record (n,) that is the same where problem, image and threat model are."""
    tables = list(records.values())
    size = 1 + max((int(table["index"].max()) for table in tables), default=0)
    places = {name: np.zeros(len(table), dtype=np.int64) for name, table in records.items()}
    for column in ("split", "pair", "norm", "epsilon"):
        values = {
            value: n for n, value in enumerate(sorted({one for table in tables for one in table[column].unique()}))
        }
        for name, table in records.items():
            places[name] = places[name] * len(values) + table[column].map(values).to_numpy(np.int64)
    return {name: places[name] * size + table["index"].to_numpy(np.int64) for name, table in records.items()}


def _on_shared(table: pd.DataFrame, is_shared: np.ndarray, other: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The scores on the shared ones of the records (n,), for the pairs that `other` has too and where they are not all."""
    key = ["split", "pair"]
    mine, theirs = (one[key].astype(str) for one in (table, other))
    n_shared = mine.assign(is_shared=is_shared).groupby(key, sort=False)["is_shared"].agg(["sum", "size"])
    has_both = n_shared.index.isin(pd.MultiIndex.from_frame(theirs.drop_duplicates()))
    partly = n_shared[has_both & (n_shared["sum"] < n_shared["size"])]
    nothing = partly.index[partly["sum"] == 0].to_frame(index=False)
    without = nothing.assign(classifier=table["classifier"].iloc[0], kind="", value=np.nan) if len(nothing) else nothing
    missing = [without.assign(measure=measure) for measure in (*MEASURES, *PROVEN.values()) if len(nothing)]
    rows = table[is_shared & pd.MultiIndex.from_frame(mine).isin(partly.index)]
    if len(rows):
        accuracies = accuracy_table(rows, confidence)
        missing.insert(0, _in_order([*_measured(accuracies, union_table(rows, confidence)), _proven(accuracies)]))
    return pd.concat(missing, ignore_index=True)[SCORES] if missing else pd.DataFrame(columns=SCORES)


def whole_scores(table: pd.DataFrame, unions: pd.DataFrame) -> pd.DataFrame:
    """What `scores` gives for pairs, as counts for all classes at once: classifier, split, measure, kind, n and n_robust.

    Of the measures those that are robust accuracies of images: both norms and their union.
    """
    mine = headline(table[table["pair"] == ALL_CLASSES])
    both = unions[unions["pair"] == ALL_CLASSES]
    columns = ["classifier", "split", "measure", "kind", "n", "n_robust"]
    parts = [mine.assign(measure=mine["norm"])[columns], both.assign(measure="union")[columns]]
    return pd.concat(parts, ignore_index=True)


def mean_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Student's interval of the mean of values (n,); without ends for a single one, whose spread is unknown."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return -np.inf, np.inf
    half = stdtrit(len(values) - 1, 0.5 + confidence / 2) * values.std(ddof=1) / np.sqrt(len(values))
    # Rounded, so that both ends of equal values are that value: the ends of a claim's range are in it.
    return round(float(values.mean() - half), 12), round(float(values.mean() + half), 12)


def median_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The interval of the median of measurements (n,) between two of them, whatever their distribution.

    Of so few that no two hold it as surely (five, at 0.95), the least and the largest; without ends for a single one.
    Source: the sign test; of n independent values, as many lie above their median as heads fall in n tosses.
    """
    ordered = np.sort(values)
    tails = bdtr(np.arange(len(ordered)), len(ordered), 0.5)
    rank = max(1, int((tails <= (1 - confidence) / 2).sum()))
    return (float(ordered[rank - 1]), float(ordered[-rank])) if len(ordered) > 1 else (-np.inf, np.inf)


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray, confidence: float) -> tuple[float, float]:
    """Fieller's interval of the ratio of the means of paired values (n,) each; without ends where a mean of 0 below is in reach.

    Source: E. C. Fieller, Journal of the Royal Statistical Society B 16 (1954), 175-185.
    """
    n = len(numerators)
    if n < 2:
        return -np.inf, np.inf
    above, below = float(np.mean(numerators)), float(np.mean(denominators))
    spread = np.cov(numerators, denominators) * stdtrit(n - 1, 0.5 + confidence / 2) ** 2 / n
    a, b, c = below**2 - spread[1, 1], above * below - spread[0, 1], above**2 - spread[0, 0]
    if a <= 0:
        return -np.inf, np.inf
    half = np.sqrt(max(b**2 - a * c, 0.0))
    return round(float((b - half) / a), 12), round(float((b + half) / a), 12)


def difference_interval(first: tuple[int, int], second: tuple[int, int], confidence: float) -> tuple[float, float]:
    """The interval of the first proportion minus the second, each given as successes and trials, of independent samples.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    counts, n = np.array([first, second]).T
    low, high = wilson_interval(counts, n, confidence)
    p = counts / n
    difference = p[0] - p[1]
    return (
        float(difference - np.hypot(p[0] - low[0], high[1] - p[1])),
        float(difference + np.hypot(high[0] - p[0], p[1] - low[1])),
    )


def paired(table: pd.DataFrame, common: pd.DataFrame, first: str, second: str, split: str, measure: str) -> np.ndarray:
    """`first` minus `second`, of each pair that both have, on the images that both have: of `scores` and `common_scores`."""
    mine = table[(table["split"] == split) & (table["measure"] == measure)]
    wide = mine.pivot(index="pair", columns="classifier", values="value").reindex(columns=[first, second])
    shared = common[(common["split"] == split) & (common["measure"] == measure)] if len(common) else common
    for one, other in ((first, second), (second, first)) if len(shared) else ():
        part = shared[(shared["classifier"] == one) & (shared["other"] == other)].set_index("pair")["value"]
        part = part[part.index.isin(wide.index)]
        wide.loc[part.index, one] = part.astype(float)
    return (wide[first] - wide[second]).dropna().round(9).to_numpy()  # so that equal means are equal


def paired_table(
    table: pd.DataFrame, common: pd.DataFrame, first: str, confidence: float, margin: float
) -> pd.DataFrame:
    """`first` against every other classifier over the pairs, by split and measure, on the images that both have: a row each.

    Columns: `first`, `second`, `split`, `measure`, `n_pairs`, `n_ahead`, `n_equal`, `n_behind`, `difference` (mean, in [-1, 1]),
    `low`, `high` (Student's interval), `sign_p` (sign test without ties), `wilcoxon_p` (signed ranks), both two-sided, and
    `is_comparable`: the whole interval lies within `margin`. Measures: `MEASURES`, and `PROVEN` where it says something else.
    Pairs share classes, so the tests take for independent what is not quite: they describe these pairs, and no population of
    tasks.
    """
    rows = []
    for second in [name for name in dict.fromkeys(table["classifier"]) if name != first]:
        proofs = table[(table["classifier"] == second) & table["measure"].isin(PROVEN.values())]
        measures = (*MEASURES, *PROVEN.values()) if (proofs["kind"] != "exact").any() else MEASURES
        for split in dict.fromkeys(table["split"]):
            for measure in measures:
                difference = paired(table, common, first, second, split, measure)
                if len(difference):
                    about = {"first": first, "second": second, "split": split, "measure": measure}
                    rows.append(about | _tests(difference, confidence, margin))
    return pd.DataFrame(rows, columns=PAIRED)


def sign_test(difference: np.ndarray) -> float:
    """The two-sided p-value of the sign test, without ties."""
    from scipy.stats import binomtest  # here: it takes half a second, and most stages need none of it

    ahead, behind = int((difference > 0).sum()), int((difference < 0).sum())
    return float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0


def signed_ranks(difference: np.ndarray) -> float:
    """The two-sided p-value of Wilcoxon's signed ranks, without ties."""
    from scipy.stats import wilcoxon  # here: as above

    return float(wilcoxon(difference).pvalue) if (difference != 0).any() else 1.0


def _tests(difference: np.ndarray, confidence: float, margin: float) -> dict[str, object]:
    low, high = mean_interval(difference, confidence)
    ahead, behind = int((difference > 0).sum()), int((difference < 0).sum())
    return {
        "n_pairs": len(difference),
        "n_ahead": ahead,
        "n_equal": len(difference) - ahead - behind,
        "n_behind": behind,
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "sign_p": sign_test(difference),
        "wilcoxon_p": signed_ranks(difference),
        "is_comparable": bool(-margin <= low and high <= margin),
    }


def seed_spread(table: pd.DataFrame, variants: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """How much the mean over pairs varies between variants that are equal but for their `seed`; no rows where all differ.

    `variants` must not have the searched one, whose settings are not in its block. Of one seed the first variant counts. Means
    are over the pairs that all of them have.
    Columns: `variants` (joined by a comma), `split`, `measure`, `n_seeds`, `mean`, `lowest`, `highest`, `standard_deviation`.
    """
    families: dict[str, dict[object, str]] = {}
    for name, block in variants.items():
        same = families.setdefault(repr({key: value for key, value in block.items() if key != "seed"}), {})
        same.setdefault(block.get("seed"), name)
    tables = []
    for members in (list(names.values()) for names in families.values() if len(names) > 1):
        mine = table[table["classifier"].isin(members)]
        have = mine.groupby(["split", "measure", "pair"])["value"].transform("size")
        means = mine[have == len(members)].groupby(["split", "measure", "classifier"], sort=False)["value"].mean()
        of_each = means.groupby(["split", "measure"], sort=False)
        spread = of_each.agg(n_seeds="size", mean="mean", lowest="min", highest="max", standard_deviation="std")
        tables.append(spread.reset_index().assign(variants=", ".join(members)))
    columns = ["variants", "split", "measure", "n_seeds", "mean", "lowest", "highest", "standard_deviation"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
