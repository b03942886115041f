"""Rosters: RobustBench's pretrained models by name, and the networks of the roster `verification`, from the tables beside."""

import difflib
from csv import DictReader
from importlib.resources import files
from typing import Any, Literal

Roster = Literal["published", "newer"]
TABLES: dict[Roster, str] = {
    "published": "robustbench_cifar10_linf69.csv",
    "newer": "robustbench_cifar10_linf_newer.csv",
}


def rows(roster: Roster) -> list[dict[str, str]]:
    """The lines of the table `published` or `newer`, by column."""
    with (files("nnrobust") / "zoo" / TABLES[roster]).open(encoding="utf-8") as stream:
        return list(DictReader(stream))


def networks(dataset: str | None = None) -> dict[str, dict[str, Any]]:
    """The roster `verification`, or its networks for one dataset: by name, what `params.yaml` states of each, in plain values."""
    with (files("nnrobust") / "models" / "verification.csv").open(encoding="utf-8") as stream:
        return {row["name"]: _stated(row) for row in DictReader(stream) if dataset in (None, row["dataset"])}


def _stated(row: dict[str, str]) -> dict[str, Any]:
    def numbers(key: str) -> list[float]:
        return [float(text) for text in row[key].split()]

    return {
        **{key: row[key] for key in ("source", "commit", "path", "sha256", "licence", "copyright", "dataset")},
        **{key: row[key] for key in ("architecture", "entry")},
        "shape": [int(text) for text in row["shape"].split()],
        **{key: numbers(key) for key in ("value_range", "mean", "std")},
        "layout": row["layout"],
        "classes": row["classes"].split("|"),
        "trained_for": row["trained_for"],
        "clean_accuracy": float(row["clean_accuracy"]) if row["clean_accuracy"] else None,
        "published": row["published"],
    }


CHAINS = {
    "variants": ("cnn_a", "small_cnn"),
    "models": ("wide", "wide-p0", "base", "deep", "marabou-8", "marabou-32", "madry-tiny"),
}
"""The architectures, of variants and of `models`, that are known to be chains of layers that linear bounds go through."""


def did_you_mean(key: str, known: list[str]) -> str:
    """A hint for an unknown key: the known one that is spelled most like it, or all of them."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def where(name: str, known: list[str]) -> str:
    """What to do about an unknown name."""
    close = difflib.get_close_matches(name, known, n=1)
    return (
        f"did you mean {close[0]}?"
        if close
        else f"the names are in nnrobust/zoo/{' and nnrobust/zoo/'.join(TABLES.values())}"
    )


def check_names(models: list[str]) -> None:
    """Holds the list `zoo.models` to the tables.

    Raises:
        ValueError: when it has a name that is unknown or there twice.
    """
    known = [row["name"] for roster in TABLES for row in rows(roster)]
    for i, name in enumerate(models):
        if name in models[:i]:
            raise ValueError(f"models: expected each model once, got {name} again")
        if name not in known:
            raise ValueError(f"models: expected RobustBench's names, got {name!r}; {where(name, known)}")


def no_bare_word(value: object) -> object:
    """`value`, which is not a text.

    Raises:
        ValueError: when it is one: only a profile may name a roster, for whose list `make profile` puts the names.
    """
    if isinstance(value, str):
        raise ValueError(
            f"expected a list of names, got the word {value!r}; write it in a profile, `published` or `newer`, or `all` "
            "under bounds, from which `make profile` writes the names"
        )
    return value
