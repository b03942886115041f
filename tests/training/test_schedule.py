"""What a recipe means for training, on the profile `paper`."""

from dataclasses import replace

import pytest

from made.project import params_of
from nnrobust.config.recipes import Setting
from nnrobust.training.schedule import learning_rate_in, shortened, validation_norms, with_setting


def recommended():
    return params_of("paper").variants["T_R"].recipe()


@pytest.mark.slow
def test_the_learning_rate_falls_at_the_milestones():
    rates = [learning_rate_in(recommended(), epoch) for epoch in (0, 99, 100, 104, 105, 109)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_one_cycle_rises_along_a_line_for_two_fifths_of_the_epochs_and_falls_along_one():
    cycle = replace(recommended(), schedule="one_cycle", milestones=(), decay=1.0, epochs=10)
    rates = [learning_rate_in(cycle, progress) for progress in (0, 1, 2, 4, 7, 10)]
    assert rates == pytest.approx([0.0, 0.025, 0.05, 0.1, 0.05, 0.0])
    assert learning_rate_in(shortened(cycle, 5), 2) == pytest.approx(0.1)


@pytest.mark.slow
def test_a_shortened_recipe_keeps_its_schedules_proportions():
    short = shortened(recommended(), 11)
    assert (short.epochs, short.milestones) == (11, (10, 10))
    assert shortened(recommended(), 55).milestones == (50, 52)
    assert shortened(recommended(), 4).milestones == (3, 3)
    assert shortened(recommended(), 1).milestones == (1, 1)


def test_a_setting_takes_the_place_of_what_it_names_and_of_nothing_else():
    setting = Setting(2.0, 0.04, 7, 0.5, 0.05, 2e-4, 55, 64, False)
    new, old = with_setting(recommended(), setting), recommended()
    (inner,) = new.trades.perturbations
    assert (inner.norm, inner.epsilon, inner.step_size, inner.steps) == ("Linf", 0.04, 0.02, 7)
    assert (new.trades.beta, new.learning_rate, new.weight_decay) == (2.0, 0.05, 2e-4)
    assert (new.epochs, new.milestones, new.batch_size, new.augment) == (55, (50, 52), 64, False)
    assert (new.momentum, new.decay, new.seed, new.architecture) == (
        old.momentum,
        old.decay,
        old.seed,
        old.architecture,
    )


def test_validation_attacks_in_the_norms_trained_against():
    variants = params_of("paper").variants
    norms = {name: validation_norms(variant.recipe()) for name, variant in variants.items()}
    assert norms == {
        "S": ("Linf",), "E_S": ("Linf",), "T_R": ("Linf",), "T_B": ("Linf",), "T_B_A": ("Linf", "L2"), "T_L2": ("L2",),
    }  # fmt: skip
