"""The ways in which a claim's number is taken from the table of pretrained models."""

import numpy as np
import pandas as pd

from nnrobust.claims.measures import Evidence, Measured
from nnrobust.tables.accuracy import TABLE_COLUMNS, wilson_interval
from nnrobust.tables.comparison import difference_interval, zoo_headline

Counts = tuple[int, int]
"""Successes and trials."""


def zoo_share(evidence: Evidence, split: str, norm: str) -> Measured | None:
    """The share of pretrained models that ten-class 1NN is ahead of, on the same images.

    A model counts as surely ahead or behind where Newcombe's interval of the difference is on one side of zero. The
    ends of the interval let every model that is neither, or was not measured, fall on either side.
    """
    rows = _zoo_rows(evidence, split, norm)
    nearest, models = rows[rows["classifier"] == "1NN"], rows[rows["classifier"] != "1NN"]
    if models.empty or nearest.empty:
        return None
    own = (int(nearest["n_robust"].iloc[0]), int(nearest["n"].iloc[0]))
    against = [(own, (int(row.n_robust), int(row.n))) for row in models.itertuples()]
    sample = f"{len(models)} of {evidence.n_models} models, {own[1]:,} {split} images"
    return _share_ahead(evidence, against, evidence.n_models, sample, f"{nearest['kind'].iloc[0]} against attacked")


def zoo_gain(evidence: Evidence, norm: str, standard: str) -> Measured | None:
    """The share of the other pretrained models that are ahead of the standard one, on test images, as `zoo_share`."""
    rows = _zoo_rows(evidence, "test", norm)
    base = rows[rows["classifier"] == standard]
    models = rows[~rows["classifier"].isin([standard, "1NN"])]
    if models.empty or base.empty:
        return None
    least_one = (int(base["n_robust"].iloc[0]), int(base["n"].iloc[0]))
    against = [((int(row.n_robust), int(row.n)), least_one) for row in models.itertuples()]
    n = evidence.n_models - 1
    return _share_ahead(evidence, against, n, f"{len(models)} of {n} models, {least_one[1]:,} test images", "attacked")


def _share_ahead(
    evidence: Evidence, against: list[tuple[Counts, Counts]], n_models: int, sample: str, kind: str
) -> Measured:
    ends = [difference_interval(first, second, evidence.confidence) for first, second in against]
    ahead = sum(first[0] * second[1] > second[0] * first[1] for first, second in against)
    surely, never = sum(low > 0 for low, _ in ends), sum(high < 0 for _, high in ends)
    low, high = surely / n_models, 1 - never / n_models
    return Measured(ahead / len(against), low, high, sample, kind, f"ahead in {ahead} of {len(against)}")


def _zoo_rows(evidence: Evidence, split: str, norm: str) -> pd.DataFrame:
    """One row for 1NN on all classes, and one for each pretrained model that has a verdict on every image."""
    table = evidence.zoo
    if table.empty:
        return table.reindex(columns=TABLE_COLUMNS)
    rows = zoo_headline(table)
    return rows[(rows["split"] == split) & (rows["norm"] == norm)]


def zoo_accuracy(evidence: Evidence, norm: str, model: str) -> Measured | None:
    """The robust accuracy on test images of one pretrained model."""
    return _highest(evidence, norm, [model], 1)


def zoo_best(evidence: Evidence, norm: str, without_extra_data: bool) -> Measured | None:
    """The highest robust accuracy on test images of the pretrained models, or of those without extra data.

    Where some of them were not measured the interval ends at 1: they may be higher.
    """
    table = evidence.zoo
    if table.empty:
        return None
    is_wanted = table["architecture"].notna() & ~(without_extra_data & table["has_extra_data"].isin([True]))
    others = table.loc[table["architecture"].notna() & ~is_wanted, "classifier"].nunique()
    return _highest(evidence, norm, list(table.loc[is_wanted, "classifier"].unique()), evidence.n_models - others)


def _highest(evidence: Evidence, norm: str, models: list[str], n_expected: int) -> Measured | None:
    rows = _zoo_rows(evidence, "test", norm)
    rows = rows[rows["classifier"].isin(models)]
    if rows.empty:
        return None
    best = rows.loc[rows["robust_accuracy"].astype(float).idxmax()]
    low, high = wilson_interval(np.array([best["n_robust"]]), np.array([best["n"]]), evidence.confidence)
    end = high[0] if len(rows) >= n_expected else 1.0
    sample = f"{len(rows)} of {n_expected} models, {int(best['n']):,} test images"
    return Measured(float(best["robust_accuracy"]), low[0], end, sample, "attacked", str(best["classifier"]))
