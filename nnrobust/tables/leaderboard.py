"""All classifiers of a run in one table, by their accuracies on test images, and those that others published."""

import numpy as np
import pandas as pd

from nnrobust.records import ALL_CLASSES
from nnrobust.tables.comparison import headline, proven_lines

MEASURES = ("clean", "Linf", "L2", "union")
PROVEN = {"Linf": "Linf_proven", "L2": "L2_proven"}
"""The column that has, by norm, what is proven of a classifier: of an exact one its accuracy, of a network a lower bound."""
COLUMNS = ["classifier", "problem", "kind", "n_pairs", "n", *MEASURES, *PROVEN.values(), "note"]
ON_PAIRS, ON_ALL = "pairs", "all classes"
PUBLISHED_NOTE = "AutoAttack, original images; RobustBench's"


def leaderboard(table: pd.DataFrame, unions: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """A row for each classifier on pairs, the mean over them, and for each on all classes: columns `COLUMNS`, test images.

    From an `accuracy_table`, a `union_table` and a `published_table`, of which what is measured on all classes is left out.
    Accuracies are in [0, 1]; `union` is robust in all norms at once; `kind` the weakest of the robust ones: exact, certified (a
    lower bound), attacked (an upper one); or published. `Linf_proven` and `L2_proven` are lower bounds by proof, missing where
    there is none. `n` counts images, of each pair anew. The most robust in union come
    first, of those without one in Linf.
    """
    rows = headline(table[table["split"] == "test"])
    rows = rows.assign(problem=np.where(rows["pair"] == ALL_CLASSES, ON_ALL, ON_PAIRS))
    proven = _proven(table[table["split"] == "test"])
    both = unions[unions["split"] == "test"].set_index(["classifier", "pair"])["robust_accuracy"]
    found = [
        _row(str(name), str(problem), mine, both) | proven.get((str(name), str(problem)), {})
        for (name, problem), mine in rows.groupby(["classifier", "problem"])
    ]
    measured = {str(row["classifier"]) for row in found if row["problem"] == ON_ALL}
    for row in published.itertuples():
        if str(row.classifier) not in measured:
            about = {"classifier": row.classifier, "problem": ON_ALL, "kind": "published", "n_pairs": 0, "n": row.n}
            found.append({**about, "clean": row.clean_accuracy, "Linf": row.robust_accuracy, "note": PUBLISHED_NOTE})
    joined = pd.DataFrame(found, columns=COLUMNS)
    joined["note"] = joined["note"].fillna("")
    return joined.sort_values(
        ["problem", "union", "Linf", "clean", "classifier"], ascending=[False, False, False, False, True], kind="stable",
    ).reset_index(drop=True)  # fmt: skip


def _proven(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """By classifier and problem, the columns `PROVEN`: means over pairs of what its headline proves, or linear bounds."""
    lines = proven_lines(table)
    lines = lines.assign(problem=np.where(lines["pair"] == ALL_CLASSES, ON_ALL, ON_PAIRS))
    means = lines.groupby(["classifier", "problem", "norm"])["robust_accuracy"].mean()
    found: dict[tuple[str, str], dict[str, float]] = {}
    for (name, problem, norm), value in means.items():
        found.setdefault((str(name), str(problem)), {})[PROVEN[str(norm)]] = float(value)
    return found


def _row(name: str, problem: str, rows: pd.DataFrame, unions: pd.Series) -> dict[str, object]:
    """The means over the pairs of one classifier, or its accuracies on all classes."""
    pairs = rows["pair"].unique()
    of_norms = rows.groupby("norm")["robust_accuracy"].mean()
    both = unions.reindex([(name, pair) for pair in pairs])
    one_norm = rows[rows["norm"] == rows["norm"].iloc[0]]
    return {
        "classifier": name,
        "problem": problem,
        # In the alphabet as in strength: attacked, certified, exact.
        "kind": rows["kind"].min(),
        "n_pairs": len(pairs) if problem == ON_PAIRS else 0,
        "n": int(one_norm["n"].sum()),
        "clean": float(one_norm["clean_accuracy"].mean()),
        **{norm: float(value) for norm, value in of_norms.items()},
        "union": float(both.mean()) if both.notna().all() else np.nan,
        "note": "",
    }
