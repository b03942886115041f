"""The page over all published runs: what each is, and one leaderboard for each data and threat models."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from nnrobust.claims.judge import VERDICTS
from nnrobust.records import name_on_pairs
from nnrobust.report.published import existing, read_run
from nnrobust.tables.leaderboard import MEASURES, PROVEN, leaderboard

PUBLISHED = ["classifier", "n", "clean_accuracy", "robust_accuracy"]
"""The columns of published accuracies that a leaderboard needs."""


@dataclass(frozen=True)
class PublishedRun:
    """A published run for its readers: its folder's name, what it is, its verdicts by name, and the files in it."""

    name: str
    setting: str
    commit: str
    note: str
    versions: dict[str, str]
    verdicts: list[tuple[str, int]]
    files: list[str]

    @property
    def pictures(self) -> list[str]:
        return [name for name in self.files if name.endswith(".png")]


@dataclass(frozen=True)
class Board:
    """All classifiers that were measured on the same data under the same threat models, on pairs and on all classes."""

    data: str
    epsilon: dict[str, float]
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        sizes = [f"{norm} {_as_text(norm, value)}" for norm, value in self.epsilon.items()]
        return f"{self.data}, {' and '.join(sizes)}"

    def on(self, problem: str) -> list[tuple[str, pd.DataFrame]]:
        """The rows of one problem in up to three parts, each with its words: a mean over fewer pairs is another question."""
        rows = self.rows[self.rows["problem"] == problem]
        is_published = rows["kind"] == "published"
        is_whole = rows["n_pairs"] == rows["n_pairs"].max()
        parts = [
            ("", rows[is_whole & ~is_published]),
            ("on fewer pairs, not to be compared with those above", rows[~is_whole & ~is_published]),
            ("published by others, attacked, on the original images", rows[is_published]),
        ]
        return [(words, part) for words, part in parts if len(part)]


def _as_text(norm: str, epsilon: float) -> str:
    """An epsilon as people write it: in Linf in 255ths where it is a whole number of them, to the digits that tables keep."""
    steps = round(255 * epsilon)
    return f"{steps}/255" if norm == "Linf" and abs(steps - 255 * epsilon) < 1e-3 else f"{epsilon:.4g}"


def published_run(folder: Path) -> PublishedRun:
    """What the page says of a published run.

    Raises:
        RecordError: when the folder is none.
    """
    _, claims, provenance = read_run(folder)
    counts = Counter(claim["verdict"] for claim in claims)
    return PublishedRun(
        name=folder.name,
        setting=claims[0]["setting"],
        commit=str(provenance["commit"])[:7],
        note=str(provenance.get("note", "")).rstrip("."),
        versions=dict(provenance.get("versions", {})),
        verdicts=[(verdict, counts[verdict]) for verdict in VERDICTS],
        files=sorted(path.name for path in folder.iterdir() if path.is_file()),
    )


def boards(folders: Iterable[Path]) -> list[Board]:
    """A leaderboard for each data and threat models of published runs, the one with most rows first.

    Columns as in `tables.leaderboard`, and `runs`: the names of the runs that have this row, equal in every number.

    Raises:
        RecordError: when a folder is no published run.
    """
    found: dict[tuple[str, tuple[tuple[str, float], ...]], list[pd.DataFrame]] = {}
    for folder in folders:
        pairs = pd.read_csv(existing(folder / "pairs.csv"))
        epsilon = tuple(pairs.groupby("norm", sort=False)["epsilon"].first().items())
        found.setdefault((_data_of(read_run(folder)[2]), epsilon), []).append(_rows(folder, pairs))
    joined = [Board(data, dict(epsilon), _joined(parts)) for (data, epsilon), parts in found.items()]
    return sorted(joined, key=lambda board: -len(board.rows))


def _data_of(provenance: dict[str, Any]) -> str:
    about = provenance.get("data") or provenance["calls"][0]["dataset"]
    return str(about["name"] if isinstance(about, dict) else about)


def _rows(folder: Path, pairs: pd.DataFrame) -> pd.DataFrame:
    published = folder / "published.csv"
    stated = pd.read_csv(published) if published.exists() else pd.DataFrame(columns=PUBLISHED)
    rows = leaderboard(pairs, pd.read_csv(existing(folder / "unions.csv")), stated)
    return rows.reindex(
        columns=[*rows.columns, *(name for name in (*MEASURES, *PROVEN.values()) if name not in rows)]
    ).assign(runs=folder.name)


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several runs, in the leaderboard's order; equal ones once, with the runs that they are of."""
    rows = pd.concat(parts, ignore_index=True)
    same = [name for name in rows.columns if name != "runs"]
    rows = rows.groupby(same, dropna=False, sort=False)["runs"].agg(", ".join).reset_index()
    by = ["problem", "union", "Linf", "clean", "classifier"]
    return rows.sort_values(by, ascending=[False] * 4 + [True], kind="stable", ignore_index=True)


def runs_page(folders: list[Path]) -> str:
    """The page over published runs, one HTML file that loads their pictures beside it and nothing else.

    Raises:
        RecordError: when a folder is no published run.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: "" if pd.isna(value) else f"{100 * value:.1f}"
    environment.filters["without_pairs"] = lambda classifier: classifier.removesuffix(name_on_pairs(""))
    runs = [published_run(folder) for folder in folders]
    page = environment.get_template("runs.html.j2")
    return page.render(runs=runs, boards=boards(folders), measures=MEASURES, proven=PROVEN) + "\n"
