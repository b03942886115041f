"""Trees of what is said of the k nearest references at a lost point, as a search makes them and `voting_checker` reads them."""

from dataclasses import dataclass, field

import numpy as np

from nnrobust.nearest.voting.pairs import Pairs

END, SPLIT, PAIRS = -1, -2, -3
"""What a node is: one whose votes cannot be lost, one of a reference in or out, one of pairs."""


@dataclass
class Node:
    """What is said of the k nearest references at a lost point, by place; `kind` and what follows, once it is dealt with.

    `near`: of other classes, among them; `excused`: of the own class, among them; `barred`: not among them. `pairs`: of the
    problem so far. `reference`: of a split; `used` and `weights`: of a proof by pairs.
    """

    near: tuple[int, ...] = ()
    excused: frozenset[int] = frozenset()
    barred: frozenset[int] = frozenset()
    pairs: Pairs = ()
    kind: int = END
    reference: int = -1
    used: Pairs = ()
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))
    children: "list[Node]" = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """Bounds of one radius, the lost point at the upper one (d,), and the proof of the lower.

    `tree`: kinds, with the reference of a split and the number of pairs, first a node and then its children. `near`, `far`,
    `weights`: of all pairs, in the same order. `own`: own-class references whose bisectors count. References are by position in
    the field. `is_spent`: the budget ended the search.
    """

    lower: float
    upper: float
    point: np.ndarray
    tree: np.ndarray
    near: np.ndarray
    far: np.ndarray
    weights: np.ndarray
    own: np.ndarray
    is_spent: bool

    @classmethod
    def at_once(cls, x: np.ndarray) -> "Outcome":
        """That of a query that is lost itself."""
        none = np.empty(0, dtype=np.int64)
        return cls(0.0, 0.0, x, none, none, none, np.empty(0), none, False)


def flattened(root: Node, positions: np.ndarray) -> dict[str, np.ndarray]:
    """A tree as `tree`, `near`, `far` and `weights` of an outcome, from the positions (l,) of its places."""
    tree: list[int] = []
    pairs: list[tuple[int, int]] = []
    weights: list[np.ndarray] = [np.empty(0)]
    stack = [root]
    while stack:
        node = stack.pop()
        tree.append(node.kind)
        if node.kind == SPLIT:
            tree.append(int(positions[node.reference]))
        if node.kind == PAIRS:
            tree.append(len(node.used))
            pairs += node.used
            weights.append(np.ldexp(node.weights, -np.frexp(node.weights.max())[1]) if node.used else node.weights)
        stack.extend(reversed(node.children))
    places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return {
        "tree": np.array(tree, dtype=np.int64),
        "near": positions[places[:, 0]],
        "far": positions[places[:, 1]],
        "weights": np.concatenate(weights),
    }
