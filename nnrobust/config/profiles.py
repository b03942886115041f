"""Profiles: `base.yaml` is complete, the others say what they change and what they extend; composed, they are a `params.yaml`.

`extends` names the profile below. An overlay is merged key by key: a mapping into the mapping there, a list or a value in the
place of what is there, and `{}` empties a mapping. Under `variants`, `"*"` comes first and changes all of them, and a new one
may be `like` another: a copy of it, with changes. Only the mappings of `OPEN` take new keys, and `null` takes one out.
`zoo.models` may be the name of a roster, which stands for its list. `models` may be `verification`, the networks of the
roster for `data.source`, or `verification:DATASET`; or have that under `"*"`, beside what is changed of some of them. `all` under
`bounds` stands for those of an architecture that linear bounds go through.
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from nnrobust.config.reader import read_text, read_yaml
from nnrobust.config.rosters import CHAINS, TABLES, did_you_mean, networks, rows
from nnrobust.errors import ParamError

OPEN = ("classifiers", "variants", "imported", "models", "examples.classifiers")
"""The mappings whose keys are names that a profile is free to choose."""
ALLOWANCE = 0.05
"""How far below its stated clean accuracy, in [0, 1], a network of the roster may be."""
_FIRST_LINE = re.compile(r"# Profile (\S+), composed by `make profile`; content sha256 ([0-9a-f]{16})\.\n")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
Load = Callable[[Path], Any]


def read_profile(path: Path | str) -> dict[str, Any]:
    """The values of a profile, or of any complete parameters file, as plain dictionaries and lists; not validated.

    Raises:
        ParamError: when a file is missing or no YAML, or a key of an overlay is unknown.
    """
    content: dict[str, Any] = _composed(Path(path), _load_plain)
    _name_chains(content)
    return content


def compose(path: Path | str) -> str:
    """The text of the `params.yaml` of a profile: all of it, with the comments of `base.yaml`, valid.

    Raises:
        ParamError: as `read_profile`, and where the values are not valid.
    """
    from nnrobust.config.params import parse_params  # brings pydantic, which a bare machine has not

    path = Path(path)
    content = _composed(path, _load_with_comments)
    missing = [key for key in ("profile", "zoo") if key not in content]
    if missing:
        raise ParamError(f"{path}: {missing[0]}: expected this key, got none; start it with `extends: base`")
    _name_chains(content)
    _add_footnotes(content)
    _set_lists_flat(content)
    stream = io.StringIO()
    _round_trip().dump(content, stream)
    text = stream.getvalue()
    text = text[f"\n{text}".index("\nprofile:") :]
    text = re.sub(r"\n+(?=[a-z])", "\n\n", re.sub(r"\n+(?=  )", "\n", text))
    parse_params(text, path)
    return f"# Profile {path.stem}, composed by `make profile`; content sha256 {_hash(text)}.\n{text}"


def write_params(profile: Path | str, path: Path | str, force: bool = False) -> None:
    """Writes the composed profile to `path`, over another composed one, but over no edits unless forced.

    Raises:
        ParamError: as `compose`, or when `path` has edits.
    """
    text, path = compose(profile), Path(path)
    if path.exists() and not force and is_edited(path.read_text(encoding="utf-8", errors="replace")):
        raise ParamError(f"{path}: expected a file as `make profile` wrote it, got one with edits; keep a copy of it, "
                         "and run `make profile P=... FORCE=1`")  # fmt: skip
    path.write_text(text, encoding="utf-8")


def is_edited(text: str) -> bool:
    """Whether a parameters file is another than `make profile` wrote."""
    first = _FIRST_LINE.match(text)
    return first is None or _hash(text[first.end() :]) != first[2]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _composed(path: Path, load: Load, above: tuple[Path, ...] = ()) -> Any:
    content = load(path)
    if "extends" not in content:
        return content
    below = content.pop("extends")
    if not isinstance(below, str) or not _NAME.fullmatch(below):
        raise ParamError(
            f"{path}: extends: expected the name of a profile beside it, got {below!r}; write `extends: base`"
        )
    if path in above:
        raise ParamError(f"{path}: extends: expected a chain that ends in base, got one that comes back to {path.stem}")
    whole = _composed(path.with_name(f"{below}.yaml"), load, (*above, path))
    _add_networks(whole, content, str(path))
    _merge(whole, content, str(path), "")
    whole["profile"] = path.stem
    zoo = whole.get("zoo")
    models = zoo.get("models") if isinstance(zoo, Mapping) else None
    if isinstance(models, str) and models in TABLES:
        whole["zoo"]["models"] = [row["name"] for row in rows(models)]
    return whole


def _add_networks(whole: Any, overlay: Any, file: str) -> None:
    """Adds the networks of the roster that the overlay's `models` names, and takes the name out."""
    models: Any = overlay.get("models")
    wanted = models.pop("*", None) if isinstance(models, dict) else overlay.pop("models", None)
    if wanted is None:
        return
    data = overlay.get("data")
    source = data.get("source") if isinstance(data, Mapping) else None
    name, _, dataset = str(wanted).partition(":")
    found = networks(dataset or source or whole["data"]["source"])
    if name != "verification" or not found:
        known = dict.fromkeys(block["dataset"] for block in networks().values())
        raise ParamError(
            f"{file}: models: expected verification:DATASET with one of {', '.join(known)}, or blocks of keys, got {wanted!r}"
        )
    for network, block in found.items():
        whole["models"][network] = block | {"allowance": ALLOWANCE, "problems": "both"}


def _name_chains(whole: Any) -> None:
    """Puts the names of all that linear bounds go through in the place of `all`."""
    bounds = whole.get("bounds")
    for key, architectures in CHAINS.items() if isinstance(bounds, Mapping) else ():
        there = whole.get(key)
        if bounds.get(key) == "all" and isinstance(there, Mapping):
            blocks = {name: block for name, block in there.items() if isinstance(block, Mapping)}
            bounds[key] = [name for name, block in blocks.items() if block.get("architecture") in architectures]


def _merge(there: Any, overlay: Mapping[str, Any], file: str, place: str) -> None:
    """Changes the mapping `there`, at the key `place` of the file, as the overlay says."""
    is_open = place in OPEN
    for name in list(there) if place == "variants" else ():
        to_all = overlay.get("*", {})
        if not isinstance(to_all, Mapping) or not isinstance(there[name], Mapping):
            raise ParamError(f"{file}: variants: expected a block of keys for * and each variant, got {to_all!r}")
        _merge(there[name], to_all, file, f"variants.{name}")
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
            there[key] = there[key] or {}  # without the comments of what was taken out, which are no YAML alone
        else:
            there[key] = deepcopy(value)  # of its own, where one value is for several variants


def _copied(variants: Any, value: Mapping[str, Any], file: str, at: str) -> Any:
    """A copy of the variant that `value` is like, with what else `value` says."""
    other = value["like"]
    if not isinstance(other, str) or other not in variants:
        raise ParamError(f"{file}: {at}.like: expected one of {list(variants)}, got {other!r}")
    variant = deepcopy(variants[other])
    _merge(variant, {key: one for key, one in value.items() if key != "like"}, file, at)
    return variant


def _load_plain(path: Path) -> Any:
    return _blocks(path)[0]


def _load_with_comments(path: Path) -> Any:
    return _round_trip().load(_blocks(path)[1])


def _blocks(path: Path) -> tuple[Any, str]:
    """The values of a file, which are blocks of keys, and its text."""
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        known = ", ".join(sorted(profile.stem for profile in path.parent.glob("*.yaml")))
        raise ParamError(f"{path}: expected a profile, found none; there are: {known}") from error
    content = read_yaml(text, path)
    if not isinstance(content, Mapping):
        raise ParamError(
            f"{path}: expected blocks of keys, got {type(content).__name__}; start from a file in profiles/"
        )
    return content, text


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


def _set_lists_flat(content: Any) -> None:
    """Writes the lists of `models` and of `bounds` in one line each."""
    from ruamel.yaml.comments import CommentedSeq

    bounds = content.get("bounds")
    for key, value in bounds.items() if isinstance(bounds, Mapping) else ():
        if isinstance(value, list):
            bounds[key] = CommentedSeq(value)
            bounds[key].fa.set_flow_style()
    for block in content["models"].values() if isinstance(content.get("models"), Mapping) else ():
        for key, value in block.items() if isinstance(block, Mapping) else ():
            if isinstance(value, list):
                block[key] = CommentedSeq(value)
                block[key].fa.set_flow_style()


def _add_footnotes(content: Any) -> None:
    """Says of the pretrained models which were trained for another epsilon, and which is not adversarially trained."""
    from ruamel.yaml.comments import CommentedSeq

    models = content["zoo"].get("models") if isinstance(content["zoo"], Mapping) else None
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        return  # validation says what is wrong
    about = {row["name"]: row for roster in TABLES for row in rows(roster)}
    models = CommentedSeq(models)
    for place, name in enumerate(models):
        epsilon = about.get(name, {}).get("eps", "8/255")
        if name == "Standard" or epsilon != "8/255":
            note = "not adversarially trained" if name == "Standard" else f"trained for {epsilon}, not 8/255"
            models.yaml_add_eol_comment(note, place, column=0)
    if not len(models):
        models.fa.set_flow_style()
    content["zoo"]["models"] = models
