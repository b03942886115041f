"""The names of RobustBench's models, and lists of them; apart from all else of the zoo, so that its changes rerun no training."""

import difflib
from csv import DictReader
from importlib.resources import files
from typing import Literal

Roster = Literal["published", "newer"]
TABLES: dict[Roster, str] = {
    "published": "robustbench_cifar10_linf69.csv",
    "newer": "robustbench_cifar10_linf_newer.csv",
}


def rows(roster: Roster) -> list[dict[str, str]]:
    """The lines of the table `published` or `newer`, by column."""
    with (files("nnrobust") / "zoo" / TABLES[roster]).open(encoding="utf-8") as stream:
        return list(DictReader(stream))


def where(name: str, known: list[str]) -> str:
    """What to do about an unknown name."""
    close = difflib.get_close_matches(name, known, n=1)
    return (
        f"did you mean {close[0]}?"
        if close
        else f"the names are in nnrobust/zoo/{' and nnrobust/zoo/'.join(TABLES.values())}"
    )


def check_names(models: list[str], rosters: dict[Roster, list[str]]) -> None:
    """Holds the lists `zoo.models` and `zoo.rosters` to the tables.

    Raises:
        ValueError: when a list has a name that is unknown or there twice, or when the roster `published` lacks one.
    """
    known = {roster: [row["name"] for row in rows(roster)] for roster in TABLES}
    _check("models", models, [*known["published"], *known["newer"]])
    for roster, names in rosters.items():
        _check(f"rosters.{roster}", names, known[roster])
    missing = [name for name in known["published"] if name not in rosters.get("published", known["published"])]
    if missing:
        raise ValueError(
            f"rosters.published: expected all {len(known['published'])} models of the paper's time, got the list without "
            f"{', '.join(missing)}; to attack fewer, shorten zoo.models"
        )


def _check(key: str, names: list[str], known: list[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"{key}: expected each model once, got {name} again")
        if name not in known:
            raise ValueError(f"{key}: expected RobustBench's names, got {name!r}; {where(name, known)}")


def no_bare_word(value: object) -> object:
    """`value`, which is not a text.

    Raises:
        ValueError: when it is one: DVC runs a stage for each item of a list, and a list's name is written with a star.
    """
    if isinstance(value, str):
        raise ValueError(
            f"expected a list of names, got the word {value!r}; write *published or *newer, with the star, which stands for "
            "the list of that name under zoo.rosters, as the profiles cifar10 and paper have it"
        )
    return value
