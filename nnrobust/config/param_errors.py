"""One-line messages for pydantic's errors: file, key, expected, got."""

import difflib
from typing import Any, get_args

from pydantic import BaseModel


def explain(root: type[BaseModel], path: str, entry: Any) -> str:
    """One line for one of pydantic's validation errors: file, key, expected, got; `root` is the model of the whole file."""
    names = [
        str(part) for part in entry["loc"] if not str(part).startswith(("literal", "list[", "tuple[", "function-"))
    ]
    key, got = ".".join(names), entry["input"]
    if entry["type"] == "missing":
        return f"{path}: {key}: expected this key, got none; add it, as profiles/base.yaml has it"
    if entry["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key; {did_you_mean(names[-1], _keys_beside(root, entry['loc']))}"
    message = entry["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if entry["type"] == "value_error":
        return f"{path}: {key}: {message}" if key else f"{path}: {message}"
    return f"{path}: {key}: expected {message}, got {got!r} ({type(got).__name__})"


def did_you_mean(key: str, known: list[str]) -> str:
    """A hint for an unknown key: the known one that is spelled most like it, or all of them."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _keys_beside(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the block around `location` knows."""
    block: Any = root
    for part in location[:-1]:
        if isinstance(block, type) and issubclass(block, BaseModel) and part in block.model_fields:
            block = block.model_fields[str(part)].annotation
        for choice in get_args(block) if not isinstance(block, type) or get_args(block) else ():
            if isinstance(choice, type) and issubclass(choice, BaseModel):
                block = choice
    return list(block.model_fields) if isinstance(block, type) and issubclass(block, BaseModel) else []
