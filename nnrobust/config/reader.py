"""The one reader of YAML: UTF-8, of bounded size, each key once, and no value that YAML 1.1 and YAML 1.2 read differently.

DVC reads `params.yaml` by YAML 1.2 and PyYAML by 1.1, where `010` is 8, `1:30` is 90 and `yes` is true.
"""

import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from nnrobust.errors import ParamError

MOST_BYTES, MOST_NODES, DEEPEST, LONGEST = 256 * 1024, 20_000, 30, 2_000
"""Bounds of a file, in bytes; of its values, aliases counted wherever they stand; of nesting; of one text, in characters.
The largest profile has 20 kB, 600 values and five levels."""
DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})?(?:\.[0-9]{0,39})?(?:[eE][-+]?[0-9]{1,5})?")
"""A number in decimal ASCII digits without leading zeros; every part may be missing."""
_ALIKE = {
    "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})"), "a decimal number without leading zeros, of at most 40 digits"),
    "float": (re.compile(rf"{DECIMAL.pattern}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), "a decimal number"),
    "bool": (re.compile("true|True|TRUE|false|False|FALSE"), "true or false"),
    "timestamp": (re.compile("(?!)"), "no date; put it in quotes if it is a name"),
}
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that a name may not have: control characters, lone surrogates, separators of lines and paragraphs."""


def read_text(path: Path | str) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Raises:
        FileNotFoundError: when there is none, as each caller knows what to do about it.
        ParamError: when it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ParamError(
            f"{path}: expected a file of YAML, got {error}; name another, or mend its permissions"
        ) from error
    if len(content) > MOST_BYTES:
        raise ParamError(f"{path}: expected at most {MOST_BYTES:,} bytes of YAML, got more; shorten its lists")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        got = f"the byte {content[error.start]:#04x} in line {line}"
        raise ParamError(f"{path}: expected UTF-8, got {got}; save the file as UTF-8") from error


def read_yaml(text: str, path: Path | str) -> Any:
    """The value of a text of YAML, which errors say is from `path`.

    Raises:
        ParamError: when it is no YAML; has a key twice in one mapping, a value that YAML 1.1 and 1.2 read differently, or a text
            with control characters; or is larger than any file of parameters.
    """
    if len(text) > MOST_BYTES:
        raise ParamError(f"{path}: expected at most {MOST_BYTES:,} characters of YAML, got more; shorten its lists")
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root, str(path), {}, [])
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ParamError(f"{path}: expected YAML: {fault(error)}") from error
    except RecursionError as error:
        raise ParamError(f"{path}: expected at most {DEEPEST} levels of nesting, got more; flatten it") from error
    except ValueError as error:
        raise ParamError(f"{path}: expected YAML: {shortened(str(error))}; put the value in quotes") from error


def fault(error: Exception) -> str:
    """What is wrong with a YAML file, in one line, from an error of PyYAML or of ruamel.yaml."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark is not None:
        return f"{problem} (line {mark.line + 1})"
    return " ".join(str(error).split())


def shortened(value: object, most: int = 80) -> str:
    """The text of a value, cut off where it is longer than a line of an error."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def _count(node: yaml.Node, path: str, counted: dict[int, int], above: list[int]) -> int:
    """The number of values at and below a node, aliases counted as often as they stand there; each node is checked."""
    where = f"{path}, line {node.start_mark.line + 1}"
    if id(node) in above:
        raise ParamError(f"{where}: expected plain values, got an alias of what it stands in; write the value out")
    if id(node) in counted:
        return counted[id(node)]
    if len(above) > DEEPEST:
        raise ParamError(f"{where}: expected at most {DEEPEST} levels of nesting, got more; flatten it")
    n_nodes = 1
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node, where)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node, path)
        n_nodes += sum(_count(part, path, counted, [*above, id(node)]) for entry in node.value for part in entry)
    else:
        n_nodes += sum(_count(part, path, counted, [*above, id(node)]) for part in node.value)
    if n_nodes > MOST_NODES:
        raise ParamError(f"{where}: expected at most {MOST_NODES:,} values, got more; shorten its lists")
    counted[id(node)] = n_nodes
    return n_nodes


def _check_keys(node: yaml.MappingNode, path: str) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ParamError(f"{path}, line {line}: expected a word as key, got {key.id}; write `key: value`")
        if key.value in seen:
            raise ParamError(
                f"{path}, line {line}: expected each key once, got {shortened(key.value)!r} again, first in line "
                f"{seen[key.value]}; delete one of them"
            )
        seen[key.value] = line


def _check_scalar(node: yaml.ScalarNode, where: str) -> None:
    text, kind = node.value, node.tag.removeprefix("tag:yaml.org,2002:")
    if kind in _ALIKE and not _ALIKE[kind][0].fullmatch(text):
        raise ParamError(f"{where}: expected {_ALIKE[kind][1]}, got {shortened(text)}; readers of YAML differ on it")
    if len(text) > LONGEST:
        raise ParamError(f"{where}: expected texts of at most {LONGEST:,} characters, got {len(text):,}; shorten it")
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        raise ParamError(f"{where}: expected printable characters, got {shortened(ascii(text))}; delete the others")
