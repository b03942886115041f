"""Published runs: what is kept of one, the page over all of them, and two of them side by side."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nnrobust.claims.judge import NOT_RUN, VERDICTS
from nnrobust.errors import RecordError
from nnrobust.runtime.outputs import finished_folder

KEPT = ("summary.json", "claims.json", "claims.csv", "pairs.csv", "means.csv")
"""What a run must have; of the other tables those that have rows are kept too."""
RECORDS = "records"
"""The folder of a campaign within that of a published run."""


def publish_run(
    metrics: Path, images: Path, extra: Mapping[str, Path], write: Callable[[Path], None], out: Path
) -> None:
    """Writes `out`, whole or not at all: summary, claims, tables with rows, figures as PNG, `extra` files by name, and what
    `write` puts into the folder in their place or beside them.

    A folder `records` that a campaign has in `out` stays.
    Another JSON file of the metrics may be of an earlier run with other stages: what is of this one is in `extra`.

    Raises:
        RecordError: when the run lacks its summary, its claims or its pairs.
    """
    for name in KEPT:
        existing(metrics / name)
    with finished_folder(out) as folder:
        for path in sorted({*(metrics / name for name in KEPT), *filter(has_rows, metrics.glob("*.csv"))}):
            shutil.copy(path, folder / path.name)
        for path in sorted(images.glob("*.png")):
            shutil.copy(path, folder / path.name)
        for name, path in extra.items():
            shutil.copy(existing(path), folder / name)
        write(folder)
        keep_records(out, folder)


def keep_records(out: Path, folder: Path) -> None:
    """Copies the records that a campaign left in `out`, where there are any, into the folder that takes its place."""
    if (out / RECORDS).exists():
        shutil.copytree(out / RECORDS, folder / RECORDS)


def existing(path: Path) -> Path:
    if not path.exists():
        raise RecordError(f"{path}: expected this file of a finished run, found none; run `dvc repro` first")
    return path


def has_rows(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        return sum(1 for _, _ in zip(range(2), file, strict=False)) == 2


def read_run(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Summary, claims and provenance of a published run.

    Raises:
        RecordError: when the folder is none.
    """
    names = ("summary.json", "claims.json", "provenance.json")
    summary, claims, provenance = (json.loads(existing(folder / name).read_text(encoding="utf-8")) for name in names)
    return summary, claims, provenance


def compared(one: Path, other: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every number of two runs' summaries with their difference, and the claims that they do not judge alike.

    Raises:
        RecordError: as `read_run`.
    """
    (first, first_claims, _), (second, second_claims, _) = read_run(one), read_run(other)
    left, right = pd.Series(flat(first), dtype=float), pd.Series(flat(second), dtype=float)
    numbers = pd.DataFrame({one.name: left, other.name: right})
    numbers["difference"] = (numbers[other.name] - numbers[one.name]).round(6)
    verdicts = pd.DataFrame(
        {
            name: {claim["id"]: claim["verdict"] for claim in claims}
            for name, claims in ((one.name, first_claims), (other.name, second_claims))
        }
    ).fillna(NOT_RUN)
    return numbers, verdicts[verdicts[one.name] != verdicts[other.name]]


def flat(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested mappings, their keys joined by dots."""
    found: dict[str, float] = {}
    for key, value in summary.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": float(value)}
    return found


def runs_table(folders: list[Path]) -> pd.DataFrame:
    """A row for each published run: its data, the means over pairs of 1NN and of the best network on test images, its verdicts.

    Accuracies in percent. The best network has the highest mean of its Linf and L2 accuracy, of those that were measured on at
    least half as many pairs as any; it is attacked, 1NN is exact.
    """
    rows = []
    for folder in folders:
        summary, claims, provenance = read_run(folder)
        nearest = summary.get("1NN", {}).get("test", {})
        n_pairs = pd.read_csv(existing(folder / "means.csv")).groupby("classifier")["n_pairs"].max()
        networks = {
            name: splits["test"]
            for name, splits in summary.items()
            if name in n_pairs and "L2_robust_accuracy" in splits.get("test", {})
        }
        most = max((n_pairs[name] for name in networks), default=0)
        networks = {name: one for name, one in networks.items() if 2 * n_pairs[name] >= most}
        best = max(
            networks,
            key=lambda name: networks[name]["L2_robust_accuracy"] + networks[name]["Linf_robust_accuracy"],
            default=None,
        )
        counts = Counter(claim["verdict"] for claim in claims)
        rows.append(
            {
                "run": f"[{folder.name}]({folder.name}/)",
                "what": claims[0]["setting"],
                "commit": str(provenance["commit"])[:7],
                "1NN clean / Linf / L2 (exact)": _three(nearest, "exact"),
                "best network clean / Linf / L2 (attacked)": f"{best} {_three(networks[best], 'robust')} ({n_pairs[best]} pairs)"
                if best
                else "none",
                "claims: " + " / ".join(VERDICTS): " / ".join(str(counts[verdict]) for verdict in VERDICTS),
            }
        )
    return pd.DataFrame(rows)


def _three(accuracies: Mapping[str, float], kind: str) -> str:
    names = ("clean_accuracy", f"Linf_{kind}_accuracy", f"L2_{kind}_accuracy")
    return " / ".join(f"{100 * accuracies[name]:.1f}" if name in accuracies else "-" for name in names)


def as_markdown(table: pd.DataFrame) -> str:
    """The table as a Markdown table of texts."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    rows = ([str(value).replace("|", r"\|") for value in row] for row in table.itertuples(index=False))
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
