"""The result of an evaluation: its records, the table made of them, and its files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnrobust.evaluation.claim import model_info
from nnrobust.evaluation.page import page
from nnrobust.runtime.outputs import finished_file, write_csv, write_json
from nnrobust.tables.accuracy import check_threat_models, wilson_interval

CLEAN, UNION = "clean", "union"
CONFIDENCE = 0.95
TABLE = ["classifier", "measure", "epsilon", "kind", "method", "n", "accuracy", "low", "high", "proven", "stated"]


@dataclass(frozen=True)
class Evaluation:
    """Records of `classifiers.COLUMNS`; `stated`, clean accuracies by classifier; `about`, what was run, in plain values."""

    records: pd.DataFrame
    stated: dict[str, float]
    about: dict[str, object]

    def to_frame(self) -> pd.DataFrame:
        """One row for each classifier and measure: `clean`, each norm, and `union`, robust under all threat models at once.

        Columns `TABLE`: `kind` of the number: exact; certified, a lower bound; attacked, an upper one. `accuracy` in [0, 1] with
        the ends of its 95 % Wilson interval; `proven`, the share of images that a proof says are robust, missing for networks
        without `bounds`; `stated`, what others say of the clean accuracy.
        """
        rows = []
        for name, mine in self.records.groupby("classifier", sort=False):
            parts = list(mine.groupby(["norm", "epsilon"], sort=False))
            is_correct, stated = parts[0][1]["is_correct"], self.stated.get(str(name), np.nan)
            is_proven = mine["radius_lower"] > mine["epsilon"] if self._has_proofs(mine) else None
            rows.append(_row((name, CLEAN, np.nan, "exact", ""), is_correct, None, stated))
            rows += [
                _row((name, norm, epsilon, part["kind"].min(), _method(part)), part["is_robust"],
                     None if is_proven is None else is_proven[part.index], np.nan)
                for (norm, epsilon), part in parts
            ]  # fmt: skip
            # In the alphabet as in strength: attacked, certified, exact. So the least of several kinds is the weakest.
            is_robust = mine.groupby("index")["is_robust"].all()
            both = None if is_proven is None else is_proven.groupby(mine["index"]).all()
            rows.append(_row((name, UNION, np.nan, mine["kind"].min(), ""), is_robust, both, np.nan))
        return pd.DataFrame(rows, columns=TABLE)

    def _has_proofs(self, records: pd.DataFrame) -> bool:
        """Whether something was to be proven of this classifier."""
        with_bounds: Any = self.about["bounds"]
        return records["kind"].iloc[0] != "attacked" or records["classifier"].iloc[0] in with_bounds

    def __str__(self) -> str:
        return self.wide().to_string(index=False)

    def wide(self) -> pd.DataFrame:
        """A row for each classifier, texts as people read them: accuracies in percent with their intervals."""
        frame = self.to_frame()
        texts = [
            f"{100 * row.accuracy:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]{_proven(row)}"
            for row in frame.itertuples()
        ]
        sizes = frame["epsilon"].map(lambda value: "" if np.isnan(value) else f" {value:.4g}")
        frame = frame.assign(text=texts, measure=frame["measure"] + sizes)
        found = frame.pivot(index="classifier", columns="measure", values="text")
        found = found.loc[frame["classifier"].unique(), frame["measure"].unique()]
        union = frame[frame["measure"] == UNION].set_index("classifier")
        stated = frame[frame["measure"] == CLEAN].set_index("classifier")["stated"]
        found.insert(0, "n", union["n"])
        found.insert(1, "kind", union["kind"])
        if stated.notna().any():
            found.insert(3, "stated", stated.map(lambda value: "" if np.isnan(value) else f"{100 * value:.1f}"))
        return found.rename_axis(columns=None).reset_index()

    def save(self, folder: Path | str) -> None:
        """Writes table.csv, records.parquet, about.json, the page index.html and model_info.json, the claims of the networks."""
        folder = Path(folder)
        write_csv(folder / "table.csv", self.to_frame())
        with finished_file(folder / "records.parquet") as temporary:
            self.records.to_parquet(temporary, index=False)
        write_json(folder / "about.json", self.about)
        write_json(folder / "model_info.json", self.claims())
        with finished_file(folder / "index.html") as temporary:
            temporary.write_text(page(self.wide(), self.records, self.about), encoding="utf-8")

    def claims(self) -> list[dict[str, Any]]:
        """What it says of each network under each threat model, in RobustBench's fields: see `claim.model_info`."""
        table = self.to_frame()
        rows = table[(table["kind"] == "attacked") & (table["measure"] != UNION)]
        return [model_info(table, str(row.classifier), str(row.measure)) for row in rows.itertuples()]

    def check(self, n_dimensions: int) -> None:
        """Checks that no image falls under a threat model and withstands one that contains it.

        Raises:
            RecordError: naming the first such image.
        """
        check_threat_models(self.records.assign(pair="all", split="given"), n_dimensions)


def _method(part: pd.DataFrame) -> str:
    return str(part["method"].iloc[0] if part["kind"].iloc[0] != "attacked" else part["attacks"].iloc[0])


def _proven(row: Any) -> str:
    """What is proven of a network, beside what attacks left standing."""
    return f" >= {100 * row.proven:.1f}" if row.kind == "attacked" and not np.isnan(row.proven) else ""


def _row(
    about: tuple[object, ...], is_true: pd.Series, is_proven: pd.Series | None, stated: float
) -> tuple[object, ...]:
    n, n_true = len(is_true), int(is_true.sum())
    low, high = wilson_interval(np.array(n_true), np.array(n), CONFIDENCE)
    proven = np.nan if is_proven is None else float(is_proven.mean())
    return (*about, n, n_true / n, float(low), float(high), proven, stated)
