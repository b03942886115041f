"""The exact radius of k nearest neighbours: the smallest step after which a label may lose the vote.

A label that is lost has at most t = (k - 1) / 2 of the k nearest references. Let S be the k nearest at a point where it is lost.
A *node* says of S that some references of other classes are in it (`near`), some of the own class (`excused`), some not
(`barred`). Then every reference in `near` is no farther than each own-class reference that is not
excused, if that one is not in S: a problem of pairs. Where its multipliers prove the target, some far reference of theirs must be
in S: one child each, with that reference excused. As t may be excused at most, the tree is t deep in these. Where they do not,
its point is lost or shows which reference to put into `near`, or to bar.

A node ends where its votes cannot be lost: too many excused, too few others left. `limits` rule most others out beforehand: one
that m = t + 1 own-class references are surely nearer than, by their bisectors, is in no such S. And own-class references whose
bisector with one of `near` lies beyond the target are excused at once.

Every tree is a proof of its target, in the order in which `voting_checker` reads it. The target is the nearest point known, which
comes first from a descent; without any, and where a budget ends, targets are tried one after the other.
"""

import numpy as np

from nnrobust.nearest.proofs.votes import can_lose, most_own
from nnrobust.nearest.voting.descent import descend
from nnrobust.nearest.voting.known import MANY_TIMES, Around, FallenError, Known, Question, SpentError
from nnrobust.nearest.voting.pairs import Found, Pairs
from nnrobust.nearest.voting.tree import END, PAIRS, SPLIT, Node, Outcome, flattened

_CLOSE = 5e-7
"""How far below its target a tree may prove, relative to it: half of what an exact radius allows."""
_LIKELY = 4
"""Pairs that a reference begins with, those whose bisectors are farthest."""
_GROWTH = 4.0
"""Factor from one target to the next where no lost point is known."""
_SHARES = (0.9, 0.75, 0.5, 0.25)
"""Targets after a budget has ended, in parts of the one that it ended at; each gets a quarter of it."""


@np.errstate(all="ignore")
def bounded_radius(question: Question, around: Around, budget: int) -> Outcome:
    """The bounds of the radius; with a finite epsilon only the verdict there is sought.

    Args:
        budget: problems that are solved at most, before targets are lowered.
    """
    return Search(question, around, budget).run()


class Search:
    """The search for one query, whose label k votes keep there."""

    def __init__(self, question: Question, around: Around, budget: int) -> None:
        self.known, self.budget = Known(question, around, budget), budget
        self.code, self.k, self.m = question.code, question.k, most_own(question.k) + 1
        self.epsilon, self.ceiling, self.weakest = question.epsilon, np.inf, np.inf

    def run(self) -> Outcome:
        """The outcome, once."""
        known, ceiling = self.known, self.epsilon * (1 + 4 * _CLOSE)
        lower, root, is_spent = 0.0, Node(), False
        try:
            if known.least_limit < ceiling or np.isinf(ceiling):
                descend(known)
            lower, root = self._prove(ceiling) if np.isfinite(min(ceiling, known.upper)) else self._prove_upwards()
        except FallenError:
            lower, root = 0.0, Node()
        except SpentError:
            is_spent = True
            try:
                lower, root = self._prove_less(min(ceiling, known.upper))
            except FallenError:
                is_spent = False
        positions = np.array(known.local.positions)
        return Outcome(
            lower=lower, upper=known.upper, point=known.point, own=positions[known.own], is_spent=is_spent,
            **flattened(root, positions),
        )  # fmt: skip

    def _prove_upwards(self) -> tuple[float, Node]:
        """Without a lost point that is known: one target after the other, until one is, or none can be."""
        known, room = self.known, self.known.local.room
        if np.isinf(known.least_limit):
            return self._prove(np.inf)
        end = np.inf if room is None else known.local.size(np.maximum(-room[0][0], room[1][0])) * (1 + 4 * _CLOSE)
        last = min(end, MANY_TIMES * known.farthest)
        ceiling = max(_GROWTH * known.least_limit, known.farthest / _GROWTH**4)
        while True:
            ceiling = min(ceiling, last)
            lower, root = self._prove(ceiling)
            if np.isfinite(known.upper):
                return lower, root
            if ceiling == last:
                return (np.inf, root) if lower > end * (1 - 2 * _CLOSE) else (lower, root)
            ceiling *= _GROWTH

    def _prove_less(self, target: float) -> tuple[float, Node]:
        """The largest of a few lower targets that its share of the budget proves, and its tree."""
        known, least = self.known, self.known.least_limit
        for share in _SHARES:
            known.allowed = known.n_solved + self.budget // 4
            if np.isfinite(target) and share * target > least:
                try:
                    return self._prove(share * target)
                except SpentError:
                    continue
        return self._prove(least)

    def _prove(self, ceiling: float) -> tuple[float, Node]:
        """A target that is proven, the nearest lost point or the ceiling if that is less, and its tree.

        Raises:
            SpentError: when the budget ends before.
        """
        self.ceiling, self.weakest = ceiling, np.inf
        root = Node()
        stack = [root]
        while stack:
            stack.extend(reversed(self._advanced(stack.pop())))
        return min(self._target, self.weakest), root

    @property
    def _target(self) -> float:
        return min(self.known.upper, self.ceiling) * (1 - _CLOSE)

    def _advanced(self, node: Node) -> list[Node]:
        """Takes a node a step further: what is left to be done below it, itself included."""
        known, target = self.known, self._target
        known.admit(target)
        is_full = known.is_binary and len(node.near) >= self.m
        available = [] if is_full else known.available(node.barred.union(node.near), target)
        excused = node.excused | known.surely_nearer(node.near, target)
        if not self._can_lose(node, excused, available):
            node.kind, node.children = END, []
            return []
        if not node.near:
            return self._split(node, max(available, key=lambda place: float(known.limits[place])))
        found = self._solved(node, excused, target)
        if found.bound >= target:
            return self._proven(node, found, target, excused)
        if len(node.near) < self.m:
            return self._with_one_more(node, found, available)
        return self._judged(node, found, excused, available)

    def _can_lose(self, node: Node, excused: frozenset[int], available: list[int]) -> bool:
        """Whether the vote can be lost with these among the k nearest; of two classes the count of either decides."""
        known = self.known
        if known.is_binary:
            return len(excused) < self.m <= len(node.near) + len(available)
        n_classes = len(known.field.parts)
        counts = [np.bincount(known.codes[list(part)], minlength=n_classes) for part in (node.near, available)]
        others = np.arange(n_classes) != self.code
        n_barred = sum(known.codes[place] == self.code for place in node.barred - excused)
        own_left = int(np.diff(known.field.starts)[self.code]) - len(excused) - n_barred
        return can_lose(len(excused), counts[0][others], counts[1][others], self.k, own_left)

    def _solved(self, node: Node, excused: frozenset[int], target: float) -> Found:
        """The solution of a node's problem with all pairs that it violates, or a bound that reaches the target."""
        known, inside = self.known, [*node.near]
        far = [place for place in known.own.tolist() if place not in excused]
        if not known.is_binary:
            inside += excused
            far += [place for place in node.barred if known.codes[place] != self.code]
        pairs = tuple((i, j) for i, j in node.pairs if j not in excused)
        found, node.pairs = known.solve_all(inside, far, pairs, target)
        return found

    def _with_one_more(self, node: Node, found: Found, available: list[int]) -> list[Node]:
        """Too few others are said to be near: those nearest at the point may have lost it already, and else one is said to be."""
        known = self.known
        is_own = known.codes == self.code
        own, others = np.sort(found.squared[is_own]), np.sort(found.squared[~is_own])
        if len(others) >= self.m and (len(own) < self.m or others[self.m - 1] <= own[self.m - 1]):
            before = known.upper
            known.try_at(found)
            if known.upper < before:
                return [node]
        if not available:
            return self._proven(node, found, found.bound, frozenset())
        return self._split(node, max(available, key=lambda place: float(found.squared[place])))

    def _judged(self, node: Node, found: Found, excused: frozenset[int], available: list[int]) -> list[Node]:
        """A node of which own-class references and enough others are settled: its point is lost, or more has to be said."""
        known = self.known
        before = known.upper, len(known.local.positions)
        nearest = known.try_at(found)
        if (known.upper, len(known.local.positions)) != before:
            return [node]
        if not known.is_binary:
            open_ones = {*available, *known.own.tolist()} - excused.union(node.near, node.barred)
            for place in (*nearest, *found.squared.argsort().tolist()):
                if place in open_ones:
                    return self._split(node, place)
        known.try_at(found, is_short=True)
        if known.upper < before[0]:
            return [node]
        # Rounding hides what is left to be done: the node is settled at the bound it has.
        self.weakest = min(self.weakest, found.bound)
        return self._proven(node, found, found.bound, excused)

    def _split(self, node: Node, place: int) -> list[Node]:
        """Two children: the reference is among the k nearest, or not."""
        node.kind, node.reference = SPLIT, place
        node.children = [
            self._inside(node, place),
            Node(node.near, node.excused, node.barred | {place}, node.pairs),
        ]
        return node.children

    def _inside(self, node: Node, place: int) -> Node:
        """The child in which a reference is among the k nearest."""
        if self.known.codes[place] == self.code:
            return Node(node.near, node.excused | {place}, node.barred, node.pairs)
        bounds = self.known.bisectors(place)
        likely = [i for i in bounds.argsort()[-_LIKELY:].tolist() if bounds[i] > 0]
        pairs = tuple((place, far) for far in self.known.own[likely].tolist())
        return Node((*node.near, place), node.excused, node.barred, (*node.pairs, *pairs))

    def _proven(self, node: Node, found: Found, target: float, excused: frozenset[int]) -> list[Node]:
        """The node with its proof, and children for what the proof takes for granted."""
        used, weights = node.pairs, found.weights
        if len(excused) < self.m - 1:
            used, weights = self._fewer(used, weights, target)
        node.used = tuple(pair for pair, weight in zip(used, weights.tolist(), strict=True) if weight > 0)
        node.kind, node.weights = PAIRS, weights[weights > 0]
        fars = dict.fromkeys(far for _, far in node.used if far not in node.barred)
        node.children = [self._inside(node, far) for far in fars]
        return node.children

    def _fewer(self, pairs: Pairs, weights: np.ndarray, target: float) -> tuple[Pairs, np.ndarray]:
        """Pairs of as few far references as prove the target: each of them makes a child."""
        total: dict[int, float] = {}
        for (_, far), weight in zip(pairs, weights.tolist(), strict=True):
            total[far] = total.get(far, 0.0) + weight * float(self.known.local.squared[far])
        ordered = sorted((far for far in total if total[far] > 0), key=lambda far: -total[far])
        for n in range(1, len(ordered)):
            few = tuple(pair for pair in pairs if pair[1] in ordered[:n])
            found = self.known.solve(few, target)
            if found.bound >= target:
                return few, found.weights
        return pairs, weights
