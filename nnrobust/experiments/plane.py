"""Figure 2: small networks and 1NN on a problem in the plane, where every ball can be looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.networks.architectures import Normalize
from nnrobust.networks.stack import Stack
from nnrobust.training.losses import TRADES_NOISE, InnerAttack, maximise_divergence, standard_loss, trades_loss

CORNERS = ((1, 1), (-1, -1), (1, -1), (-1, 1))
"""The signs of the four clusters' centres; the sign of their product is the class."""
OVERWRITTEN = "overwritten loss"
"""The panel of standard training: the released notebook computes TRADES' loss, then replaces it by the cross-entropy alone."""
Classifier = Callable[[np.ndarray], np.ndarray]
"""A function from points (m, 2) of the plane to labels (m,)."""


@dataclass(frozen=True)
class PlaneProblem:
    """`points` (n, 2) with `labels` (n,), 0 or 1, and the `epsilon` of the closed linf balls around them."""

    points: np.ndarray
    labels: np.ndarray
    epsilon: float

    @property
    def reach(self) -> float:
        """Half the side of the square around the origin that holds every ball, and a margin of one epsilon around it."""
        return float(np.abs(self.points).max() + 2 * self.epsilon)

    def axis(self, size: int) -> np.ndarray:
        """Values (size,) of either coordinate, spread evenly over the plane as far as `reach`."""
        return np.linspace(-self.reach, self.reach, size)

    def squares(self, n_side: int) -> np.ndarray:
        """n_side x n_side points, spread evenly over each point's ball, sides and corners included: (n, n_side^2, 2)."""
        return self.points[:, None] + _lattice(np.linspace(-self.epsilon, self.epsilon, n_side))

    def to_box(self, points: np.ndarray) -> Tensor:
        """Points (m, 2) as images (1, m, 1, 1, 2) of two pixels for one network: the square of `reach` becomes the box [0, 1]."""
        return torch.from_numpy(points / (2 * self.reach) + 0.5).float().view(1, -1, 1, 1, 2)


@dataclass(frozen=True)
class Schedule:
    """How a network is trained: `hidden` units in each of two layers, Adam on all points at once, and TRADES' inner attack of
    `steps` steps of `step_size`, in units of the plane."""

    hidden: int
    epochs: int
    learning_rate: float
    steps: int
    step_size: float
    seed: int


def made_points(
    n_points: int, center: float, variance: float, flipped: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) and labels (n,): a quarter in each of four Gaussians around (+-center, +-center), of covariance variance * I.

    The label is the class of the cluster, 1 where the signs of its centre agree; a share `flipped` of each cluster has the other.
    Source: arXiv 2404.06313, figure 2; its data are not public, and which cluster is of which class is our reading.
    """
    generator, size = np.random.default_rng(seed), n_points // len(CORNERS)
    points, labels = [], []
    for corner in CORNERS:
        points.append(generator.normal(np.multiply(center, corner), np.sqrt(variance), (size, 2)))
        label = np.full(size, int(np.prod(corner) > 0))
        label[generator.choice(size, round(flipped * size), replace=False)] ^= 1
        labels.append(label)
    return np.concatenate(points), np.concatenate(labels)


def train(problem: PlaneProblem, schedule: Schedule, beta: float | None) -> Stack:
    """The network trained with TRADES' loss at this beta; None: with the cross-entropy alone. All start from equal weights."""
    generator = np.random.default_rng([schedule.seed, 1])
    stack = Stack.of([_network(problem.reach, schedule.hidden, generator)])
    images, targets = problem.to_box(problem.points), torch.from_numpy(problem.labels)[None]
    # Fused, as the square root of the other kind is Intel's library's, with last bits that differ between makers of processors.
    optimizer = torch.optim.Adam(stack.parameters.values(), lr=schedule.learning_rate, fused=True)
    scale = 2 * problem.reach
    attack = InnerAttack(
        "Linf", schedule.steps, torch.tensor([problem.epsilon / scale]), torch.tensor([schedule.step_size / scale])
    )
    for _ in range(schedule.epochs):
        if beta is None:
            loss = standard_loss(stack, images, targets)
        else:
            noise = torch.from_numpy(generator.normal(0, TRADES_NOISE / scale, images.shape)).float()
            adversarial = maximise_divergence(stack.frozen(), images, noise, attack)
            loss = trades_loss(stack, images, targets, [adversarial], torch.tensor([beta]), "sum")
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
    return stack


def _network(reach: float, hidden: int, generator: np.random.Generator) -> nn.Module:
    """A network of two hidden layers that sees units of the plane; weights are drawn as torch does, but from `generator`."""
    sizes = [(2, hidden), (hidden, hidden), (hidden, 2)]
    one, two, three = (nn.utils.skip_init(nn.Linear, n_in, n_out) for n_in, n_out in sizes)
    with torch.no_grad():
        for layer in (one, two, three):
            limit = layer.in_features**-0.5
            for parameter in layer.parameters():
                parameter.copy_(torch.from_numpy(generator.uniform(-limit, limit, tuple(parameter.shape))))
    return nn.Sequential(Normalize([0.5], [0.5 / reach]), nn.Flatten(), one, nn.ReLU(), two, nn.ReLU(), three)


def classifier_of(stack: Stack, problem: PlaneProblem) -> Classifier:
    """What a trained network says of points of the plane."""
    frozen = stack.frozen()

    @torch.no_grad()
    def classify(points: np.ndarray) -> np.ndarray:
        return frozen.logits(problem.to_box(points), training=False)[0].argmax(dim=-1).numpy()

    return classify


def withstands_grid(problem: PlaneProblem, classify: Classifier, n_side: int) -> np.ndarray:
    """Which points (n,) are right, and so on n_side x n_side points of their ball: an upper bound of robustness."""
    squares = problem.squares(n_side)
    predicted = classify(squares.reshape(-1, 2)).reshape(squares.shape[:2])
    holds = (predicted == problem.labels[:, None]).all(axis=1)
    return holds & (classify(problem.points) == problem.labels)


@dataclass(frozen=True)
class Panel:
    """One classifier of the figure: its verdict on each point (n,), and whether that is `exact` or `attacked`, and how."""

    name: str
    kind: str
    method: str
    beta: float | None
    classify: Classifier
    is_robust: np.ndarray


def nearest_panel(problem: PlaneProblem) -> Panel:
    """1NN, by its exact radius in linf without a box."""
    model = OneNearestNeighbor().fit(problem.points, problem.labels)
    found = model.robust_radius(problem.points, problem.labels, norm="Linf", epsilon=problem.epsilon)
    return Panel("1NN", "exact", "robust radius", None, model.predict, found.is_robust(problem.epsilon))


def network_panel(problem: PlaneProblem, schedule: Schedule, beta: float | None, n_side: int) -> Panel:
    """A network trained with TRADES at this beta, or with the overwritten loss (None), attacked at points of each ball."""
    classify = classifier_of(train(problem, schedule, beta), problem)
    name = OVERWRITTEN if beta is None else f"TRADES, beta = {beta:g}"
    is_robust = withstands_grid(problem, classify, n_side)
    return Panel(name, "attacked", f"{n_side**2} points a ball", beta, classify, is_robust)


def measure(panels: Sequence[Panel], problem: PlaneProblem, grid_size: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A row for each panel and point, and each panel's labels on the plane, int8 (n_panels, grid_size, grid_size).

    Columns panel, kind, method, x, y, label, prediction, is_correct, is_robust, epsilon, beta (NaN where there is none). The
    rows of a panel's labels go from low y to high, along `PlaneProblem.axis`.
    """
    plane, tables, regions = _lattice(problem.axis(grid_size)), [], []
    for panel in panels:
        prediction = panel.classify(problem.points)
        about = {"panel": panel.name, "kind": panel.kind, "method": panel.method}
        points = {"x": problem.points[:, 0], "y": problem.points[:, 1], "label": problem.labels}
        verdicts = {"is_correct": prediction == problem.labels, "is_robust": panel.is_robust}
        setting = {"epsilon": problem.epsilon, "beta": np.nan if panel.beta is None else panel.beta}
        tables.append(pd.DataFrame({**about, **points, "prediction": prediction, **verdicts, **setting}))
        regions.append(panel.classify(plane).reshape(grid_size, grid_size).astype(np.int8))
    return pd.concat(tables, ignore_index=True), np.stack(regions)


def _lattice(axis: np.ndarray) -> np.ndarray:
    """All pairs of the values of an axis (k,) as points (k^2, 2), x first to change."""
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
