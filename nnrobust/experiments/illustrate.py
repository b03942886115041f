"""The nearest images that fool 1NN, by proof, and networks, by attack."""

import numpy as np
import torch

from nnrobust.attacks.attack import adversarial_images
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, Victim
from nnrobust.data.datasets import Split
from nnrobust.errors import SolverError
from nnrobust.examples import Examples
from nnrobust.nearest.estimator import OneNearestNeighbor
from nnrobust.threat import ThreatModel, norm_of


def fool_nearest_neighbor(train: Split, class_ids: np.ndarray, indices: np.ndarray) -> Examples:
    """The exact nearest images in l2, within the box, that 1NN on the training images of these classes gives another class.

    The proof of each is checked again, without the solver.

    Raises:
        SolverError: when a proof does not hold.
    """
    rows = np.flatnonzero(np.isin(train.labels, class_ids))
    model = OneNearestNeighbor().fit(np.asarray(train.images[rows]), train.labels[rows])
    images, labels = np.asarray(train.images[indices]), train.labels[indices]
    result = model.robust_radius(images, labels, norm="L2", box=(0, 255))
    if not result.verify().all() or not (result.status == "exact").all():
        raise SolverError(
            f"images {indices.tolist()}: expected exact radii with proofs that hold, got {result.status.tolist()}"
        )
    predictions = model.predict(images)
    is_found = np.isfinite(result.upper) & (predictions == labels)
    adversarial = np.where(is_found[:, None, None, None], result.x_adv, images) / 255
    return Examples(images, adversarial, is_found, indices, labels, predictions, result.upper / 255)


def fool_network(
    victim: Victim,
    inputs: AttackInputs,
    class_ids: np.ndarray,
    epsilon: float,
    attacks: list[AttackSpec],
    device: torch.device,
) -> Examples:
    """The nearest images in l2 that the attacks found; `class_ids` (outputs,) gives the class of each output."""
    verdicts, adversarial = adversarial_images(victim, inputs, ThreatModel("L2", epsilon), attacks, device)
    return Examples(
        inputs.images,
        adversarial,
        (verdicts.predictions == inputs.targets) & ~np.isnan(verdicts.perturbation_norm),
        inputs.ids,
        class_ids[inputs.targets],
        class_ids[verdicts.predictions],
        norm_of(adversarial - inputs.images / 255, "L2"),
    )
