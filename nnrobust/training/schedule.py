"""A recipe's learning rates and norms, and recipes made from it."""

from dataclasses import replace

from nnrobust.config.recipes import Perturbation, Recipe, Setting

PEAK = 0.4
"""The part of a one-cycle schedule in which the learning rate rises. Source: as arXiv 2001.03994's code."""


def learning_rate_in(recipe: Recipe, progress: float) -> float:
    """The learning rate after `progress` epochs, of which a step takes a part.

    `steps`: multiplied by `decay` at each milestone. `one_cycle`: along a line from 0 to the recipe's rate, then along one to 0.
    """
    if recipe.schedule == "one_cycle":
        share = progress / recipe.epochs
        return recipe.learning_rate * min(share / PEAK, (1 - share) / (1 - PEAK))
    return recipe.learning_rate * recipe.decay ** sum(milestone <= progress for milestone in recipe.milestones)


def validation_norms(recipe: Recipe) -> tuple[str, ...]:
    """The norms that validation attacks in: those trained against, Linf for standard training."""
    return ("Linf",) if recipe.trades is None else tuple(dict.fromkeys(p.norm for p in recipe.trades.perturbations))


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe in another number of epochs, its milestones at the same fractions of the whole, before the last epoch."""
    last = max(1, epochs - 1)
    milestones = tuple(min(last, max(1, round(milestone * epochs / recipe.epochs))) for milestone in recipe.milestones)
    return replace(recipe, epochs=epochs, milestones=milestones)


def slowed(recipe: Recipe) -> Recipe:
    """The recipe at half the learning rate."""
    return replace(recipe, learning_rate=recipe.learning_rate / 2)


def with_setting(recipe: Recipe, setting: Setting) -> Recipe:
    """The recipe, which has a single perturbation, with one point of a search space in place of its own values."""
    assert recipe.trades is not None
    (old,) = recipe.trades.perturbations
    inner = Perturbation(old.norm, setting.epsilon, setting.relative_step_size * setting.epsilon, setting.steps)
    return replace(
        shortened(recipe, setting.epochs),
        trades=replace(recipe.trades, beta=setting.beta, perturbations=(inner,)),
        learning_rate=setting.learning_rate,
        weight_decay=setting.weight_decay,
        batch_size=setting.batch_size,
        augment=setting.augment,
    )
