"""The ways in which a claim's number is taken from the table of pretrained models.

Robust accuracy in Linf on test images of a model that was not measured is RobustBench's, where a run is of the same images but
for their encoding: claims that such numbers decide have the kind `published`, and say so.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from nnrobust.claims.measures import Evidence, Measured
from nnrobust.tables.accuracy import TABLE_COLUMNS, wilson_interval
from nnrobust.tables.comparison import difference_interval, zoo_headline

Counts = tuple[int, int]
"""Successes and trials."""
PUBLISHED = ("test", "Linf")
"""The split and the norm that published accuracies are of."""
BY_OTHERS = "published"
"""The kind of a number that others measured."""


def zoo_share(evidence: Evidence, split: str, norm: str) -> Measured | None:
    """The share of pretrained models that ten-class 1NN is ahead of, on the same images.

    A model counts as surely ahead or behind where Newcombe's interval of the difference is on one side of zero. The
    ends of the interval let every model that is neither, or was not measured, fall on either side.
    """
    rows = _measured(evidence, split, norm)
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
    sample = f"{len(models)} of {n} models, {_images(rows)}"
    return _marked(_share_ahead(evidence, against, n, sample, "attacked"), pd.concat([base, models]))


def _share_ahead(
    evidence: Evidence, against: list[tuple[Counts, Counts]], n_models: int, sample: str, kind: str
) -> Measured:
    ends = [difference_interval(first, second, evidence.confidence) for first, second in against]
    ahead = sum(first[0] * second[1] > second[0] * first[1] for first, second in against)
    surely, never = sum(low > 0 for low, _ in ends), sum(high < 0 for _, high in ends)
    low, high = surely / n_models, 1 - never / n_models
    return Measured(ahead / len(against), low, high, sample, kind, f"ahead in {ahead} of {len(against)}")


def _measured(evidence: Evidence, split: str, norm: str) -> pd.DataFrame:
    """One row for 1NN on all classes, and one for each pretrained model that has a verdict on every image."""
    table = evidence.zoo
    if table.empty:
        return table.reindex(columns=TABLE_COLUMNS)
    rows = zoo_headline(table)
    return rows[(rows["split"] == split) & (rows["norm"] == norm)]


def _zoo_rows(evidence: Evidence, split: str, norm: str) -> pd.DataFrame:
    """The rows measured, and of models that were not, those published, where there are any of this split and norm."""
    rows, published = _measured(evidence, split, norm), evidence.published
    if (split, norm) != PUBLISHED or published.empty:
        return rows
    others = published[~published["classifier"].isin(rows["classifier"])]
    others = others.assign(split=split, norm=norm, kind=BY_OTHERS).reindex(columns=TABLE_COLUMNS)
    return pd.concat([rows, others], ignore_index=True) if len(rows) else others


def _images(rows: pd.DataFrame) -> str:
    """The test images that the rows are of, in words."""
    counts = rows.groupby(rows["kind"] == BY_OTHERS)["n"].max()
    words = {False: "{:,} test images", True: "{:,} official test images (published)"}
    return " and ".join(words[bool(is_published)].format(int(n)) for is_published, n in counts.items())


def _marked(found: Measured, rows: pd.DataFrame) -> Measured:
    """The number, whose kind and note say how many of the models' rows are published."""
    n = int((rows["kind"] == BY_OTHERS).sum())
    if not n:
        return found
    kind = BY_OTHERS if n == len(rows) else f"{found.kind} and {BY_OTHERS}"
    note = f"{found.note}; by published numbers (AutoAttack, original images) of {n} models"
    return replace(found, kind=kind, note=note)


def zoo_accuracy(evidence: Evidence, norm: str, model: str) -> Measured | None:
    """The robust accuracy on test images of one pretrained model."""
    return _highest(evidence, norm, [model], 1)


def zoo_best(evidence: Evidence, norm: str, without_extra_data: bool) -> Measured | None:
    """The highest robust accuracy on test images of the pretrained models, or of those without extra data.

    Where some of them were not measured the interval ends at 1: they may be higher.
    """
    about = [evidence.zoo, evidence.published if norm == PUBLISHED[1] else evidence.published[:0]]
    tables = [table[["classifier", "architecture", "has_extra_data"]] for table in about if len(table)]
    if not tables:
        return None
    table = pd.concat(tables, ignore_index=True)
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
    sample = f"{len(rows)} of {n_expected} models, {_images(rows)}"
    found = Measured(float(best["robust_accuracy"]), low[0], end, sample, "attacked", str(best["classifier"]))
    return _marked(found, rows)
