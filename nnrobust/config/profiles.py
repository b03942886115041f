"""Profiles: `base.yaml` is complete, the others say what they change and what they extend; composed, they are a `params.yaml`.

`extends` names the profile below. An overlay is merged key by key: a mapping into the mapping there, a list or a value in the
place of what is there, and `{}` empties a mapping. Under `variants`, `"*"` comes first and changes all of them, and a new one
may be `like` another: a copy of it, with changes. Only the mappings of `OPEN` take new keys, and `null` takes one out.
`zoo.models` may be the name of a roster, which stands for its list.
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from nnrobust.config.rosters import TABLES, did_you_mean, rows
from nnrobust.errors import ParamError

OPEN = ("classifiers", "variants", "examples.classifiers")
"""The mappings whose keys are names that a profile is free to choose."""
_FIRST_LINE = re.compile(r"# Profile (\S+), composed by `make profile`; content sha256 ([0-9a-f]{16})\.\n")
Load = Callable[[Path], Any]


def read_profile(path: Path | str) -> dict[str, Any]:
    """The values of a profile, or of any complete parameters file, as plain dictionaries and lists; not validated.

    Raises:
        ParamError: when a file is missing or no YAML, or a key of an overlay is unknown.
    """
    return _composed(Path(path), _load_plain)


def compose(path: Path | str) -> str:
    """The text of the `params.yaml` of a profile: all of it, with the comments of `base.yaml`, valid.

    Raises:
        ParamError: as `read_profile`, and where the values are not valid.
    """
    from nnrobust.config.params import parse_params  # brings pydantic, which a bare machine has not

    path = Path(path)
    content = _composed(path, _load_with_comments)
    _add_footnotes(content)
    stream = io.StringIO()
    _round_trip().dump(content, stream)
    text = stream.getvalue()
    text = text[text.index("\nprofile:") + 1 :]
    text = re.sub(r"\n+(?=[a-z])", "\n\n", text)
    parse_params(text, path)
    return f"# Profile {path.stem}, composed by `make profile`; content sha256 {_hash(text)}.\n{text}"


def write_params(profile: Path | str, path: Path | str, force: bool = False) -> None:
    """Writes the composed profile to `path`, over another composed one, but over no edits unless forced.

    Raises:
        ParamError: as `compose`, or when `path` has edits.
    """
    text, path = compose(profile), Path(path)
    if path.exists() and not force and is_edited(path.read_text(encoding="utf-8")):
        raise ParamError(f"{path}: expected a file as `make profile` wrote it, got one with edits; keep a copy of it, "
                         "and run `make profile P=... FORCE=1`")  # fmt: skip
    path.write_text(text, encoding="utf-8")


def is_edited(text: str) -> bool:
    """Whether a parameters file is another than `make profile` wrote."""
    first = _FIRST_LINE.match(text)
    return first is None or _hash(text[first.end() :]) != first[2]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _composed(path: Path, load: Load) -> Any:
    content = load(path)
    if "extends" not in content:
        return content
    below = path.with_name(f"{content.pop('extends')}.yaml")
    whole = _composed(below, load)
    _merge(whole, content, str(path), "")
    whole["profile"] = path.stem
    models = whole["zoo"]["models"]
    if isinstance(models, str) and models in TABLES:
        whole["zoo"]["models"] = [row["name"] for row in rows(models)]
    return whole


def _merge(there: Any, overlay: Mapping[str, Any], file: str, place: str) -> None:
    """Changes the mapping `there`, at the key `place` of the file, as the overlay says."""
    is_open = place in OPEN
    for name in list(there) if place == "variants" else ():
        _merge(there[name], overlay.get("*", {}), file, f"variants.{name}")
    for key, value in overlay.items():
        at = f"{place}.{key}".lstrip(".")
        if key == "*" and place == "variants":
            continue
        if key not in there and not is_open:
            raise ParamError(f"{file}: {at}: unknown key; {did_you_mean(key, list(there))}")
        if is_open and value is None:
            there.pop(key, None)
        elif place == "variants" and isinstance(value, Mapping) and "like" in value:
            there[key] = _copied(there, value, file, at)
        elif isinstance(value, Mapping) and value and isinstance(there.get(key), Mapping):
            _merge(there[key], value, file, at)
        else:
            there[key] = deepcopy(value)  # of its own, where one value is for several variants


def _copied(variants: Any, value: Mapping[str, Any], file: str, at: str) -> Any:
    """A copy of the variant that `value` is like, with what else `value` says."""
    other = value["like"]
    if other not in variants:
        raise ParamError(f"{file}: {at}.like: expected one of {list(variants)}, got {other!r}")
    variant = deepcopy(variants[other])
    _merge(variant, {key: one for key, one in value.items() if key != "like"}, file, at)
    return variant


def _load_plain(path: Path) -> Any:
    return _loaded(path, yaml.safe_load, yaml.YAMLError)


def _load_with_comments(path: Path) -> Any:
    from ruamel.yaml.error import YAMLError

    return _loaded(path, _round_trip().load, YAMLError)


def _loaded(path: Path, load: Callable[[str], Any], fault: type[Exception]) -> Any:
    try:
        content = load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(profile.stem for profile in path.parent.glob("*.yaml")))
        raise ParamError(f"{path}: expected a profile, found none; there are: {known}") from error
    except fault as error:
        raise ParamError(f"{path}: expected YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise ParamError(f"{path}: expected blocks of keys, got {type(content).__name__}")
    return content


def _round_trip() -> Any:
    """A reader and writer of YAML that keeps comments; DVC brings it."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def _add_footnotes(content: Any) -> None:
    """Says of the pretrained models which were trained for another epsilon, and which is not adversarially trained."""
    from ruamel.yaml.comments import CommentedSeq

    if isinstance(content["zoo"]["models"], str):
        return  # no roster: validation says so
    about = {row["name"]: row for roster in TABLES for row in rows(roster)}
    models = CommentedSeq(content["zoo"]["models"])
    for place, name in enumerate(models):
        epsilon = about.get(name, {}).get("eps", "8/255")
        if name == "Standard" or epsilon != "8/255":
            note = "not adversarially trained" if name == "Standard" else f"trained for {epsilon}, not 8/255"
            models.yaml_add_eol_comment(note, place, column=0)
    if not len(models):
        models.fa.set_flow_style()
    content["zoo"]["models"] = models
