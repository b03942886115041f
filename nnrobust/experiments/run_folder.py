"""The folder of a campaign: what its calls note, and whether its numbers may be added to another call's or a run's."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import nnrobust
from nnrobust.data.datasets import SPLITS, Dataset
from nnrobust.errors import RecordError
from nnrobust.records import read_records
from nnrobust.runtime.outputs import finished_file

DECIDING = ("attacks", "bounds", "data/datasets.py", "networks", "runtime/machine.py", "threat.py", "training")
"""The files and folders of the package that decide a network, its attack and its proofs; others show and judge the numbers."""
ALIKE = ("dataset", "data_sha256", "settings", "code")
"""What all calls of a folder have in common."""


def code_hash() -> str:
    """The hash of the deciding code."""
    root, digest = Path(nnrobust.__file__).parent, hashlib.sha256()
    for name in DECIDING:
        place = root / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def data_hash(dataset: Dataset) -> str:
    """The hash of all images and labels, in their order."""
    digest = hashlib.sha256()
    for split in SPLITS:
        part = getattr(dataset, split)
        digest.update(part.images.tobytes() + part.labels.tobytes())
    return digest.hexdigest()


def calls_of(folder: Path) -> list[dict[str, Any]]:
    """What each call noted; none where there was none."""
    return _noted(folder).get("calls", [])


def proofs_of(folder: Path) -> list[dict[str, Any]]:
    """What was noted by those who proved something after the campaign."""
    return _noted(folder).get("proofs", [])


def proven_problems(proofs: Iterable[Mapping[str, Any]], variant: str) -> set[str]:
    """The problems, as records name them, that notes of proofs have of a variant."""
    mine = (note["problems"] for note in proofs if note["variant"] == variant)
    return {problem for problems in mine for problem in problems}


def check_proven(records: pd.DataFrame, proofs: Iterable[Mapping[str, Any]], where: Path) -> None:
    """Checks that each variant of `records` of which something was proven after its campaign was so on all its problems.

    Where no proof was tried, nothing would be proven, and tables would count that as 0 %.

    Raises:
        RecordError: when there is a problem that no note of `proofs` names and of which no record is proven.
    """
    proofs, is_proven = list(proofs), records["radius_lower"] > records["epsilon"]
    for variant in dict.fromkeys(note["variant"] for note in proofs):
        is_mine = records["classifier"].astype(str) == variant
        done = proven_problems(proofs, variant) | set(records.loc[is_mine & is_proven, "pair"])
        left = set(records.loc[is_mine, "pair"].astype(str)) - done
        if left:
            raise RecordError(
                f"{where}: expected proofs of {variant} on all its problems or on none, got none on {', '.join(sorted(left))}; "
                f"prove them too: python scripts/prove.py {where} {variant}"
            )


def _noted(folder: Path) -> dict[str, list[dict[str, Any]]]:
    path = folder / "provenance.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def check_alike(calls: Iterable[Mapping[str, Any]], where: Path) -> None:
    """Checks that the numbers of these calls can be added up.

    Raises:
        RecordError: when calls differ in data, settings of validation and attack, code, or the recipe of a variant that both
            have; the message names what differs.
    """
    calls, recipes = list(calls), dict[str, Any]()
    for call in calls:
        for key in ALIKE:
            _check_equal(f"{where}: expected calls with one {key}", calls[0][key], call[key])
        for variant, recipe in call["recipes"].items():
            _check_equal(f"{where}: expected one recipe of {variant}", recipes.setdefault(variant, recipe), recipe)


def _check_equal(expected: str, there: Any, new: Any) -> None:
    there, new = (json.loads(json.dumps(value)) for value in (there, new))  # a tuple is a list in the file
    if there == new:
        return
    if isinstance(there, dict):
        keys = [key for key in {**there, **new} if there.get(key) != new.get(key)]
        there, new = ({key: value.get(key) for key in keys} for value in (there, new))
    raise RecordError(f"{expected}, got {json.dumps(there)} and {json.dumps(new)}; take another folder (--out)")


def write_provenance(folder: Path, call: Mapping[str, Any]) -> None:
    """Adds this call to those before it in `provenance.json`."""
    _add(folder, "calls", call)


def write_proofs(folder: Path, note: Mapping[str, Any]) -> None:
    """Adds to `provenance.json` what proved something of a variant's networks after their campaign."""
    _add(folder, "proofs", note)


def _add(folder: Path, name: str, entry: Mapping[str, Any]) -> None:
    content = _noted(folder)
    content[name] = [*content.get(name, []), dict(entry)]
    with finished_file(folder / "provenance.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def imported_records(place: Path, name: str, dataset: Dataset, epsilon: Mapping[str, float]) -> pd.DataFrame:
    """The records of a network in the folder of a campaign, under the name `name`.

    `place` is the folder, where the network has that name, or the network's file in it, where it has another. They have to be of
    the images of `dataset` at these epsilons, by norm.

    Raises:
        RecordError: when the folder has no such network, its images or epsilons are others, or some of its problems are unproven.
    """
    path = place if place.suffix == ".parquet" else place / f"{name}.parquet"
    folder = path.parent
    calls = calls_of(folder)
    if not calls or not path.exists():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.parquet"))) or "none"
        raise RecordError(
            f"{folder}: expected the folder of a campaign with {path.name}, got networks: {names}; name one of them"
        )
    check_alike(calls, folder)
    digest = data_hash(dataset)
    if calls[0]["data_sha256"] != digest:
        raise RecordError(
            f"{folder}: expected a campaign on the images of this run, of sha256 {digest}, got {calls[0]['data_sha256']}; their "
            "data blocks have to agree"
        )
    records = read_records(path)
    check_proven(records, proofs_of(folder), folder)
    records = records.assign(dataset=dataset.name, classifier=name)
    measured = {
        str(norm): float(size) for norm, size in records[["norm", "epsilon"]].drop_duplicates().itertuples(index=False)
    }
    if measured != dict(epsilon):
        raise RecordError(
            f"{path}: expected the epsilons of this run, {dict(epsilon)}, got {measured}; set epsilon to them"
        )
    return records
