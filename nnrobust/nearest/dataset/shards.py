"""The references of other classes in parts that are held at once: some classes together, or a part of a large one."""

from itertools import pairwise
from typing import NamedTuple

TOGETHER = 2**25
"""Distances between own- and other-class references up to which classes stand together (128 MiB)."""
APART = 2**27
"""More than these, of one class, are not held at once: it comes in parts."""
LEAST = 1000
"""References of a part at least, fewer of which take no less time."""


class Shard(NamedTuple):
    """The references from `start` to before `stop` of those of a class."""

    class_id: int
    start: int
    stop: int


def groups_of(sizes: list[int], label: int) -> list[list[Shard]]:
    """The references of all classes but `label`, from the sizes of all, in groups: no class is in one twice."""
    groups: list[list[Shard]] = [[]]
    for class_id, size in enumerate(sizes):
        if class_id == label:
            continue
        parts = _parts(class_id, size, sizes[label])
        if groups[-1] and (sum(shard.stop - shard.start for shard in groups[-1]) + size) * sizes[label] > TOGETHER:
            groups.append([])
        groups[-1].append(parts[0])
        groups += [[part] for part in parts[1:]]
    return [group for group in groups if group]


def _parts(class_id: int, size: int, n_own: int) -> list[Shard]:
    """All of a class, or parts of it that differ by one reference at most."""
    n_parts = 1 if size * n_own <= APART else -(-size // max(APART // n_own, LEAST))
    ends = [size * n // n_parts for n in range(n_parts + 1)]
    return [Shard(class_id, start, stop) for start, stop in pairwise(ends)]
