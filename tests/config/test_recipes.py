from pathlib import Path

import pytest
import yaml

from nnrobust.config.params import read_params
from nnrobust.config.recipes import Recipe, Setting

PROFILES = Path(__file__).parents[2] / "profiles"


def recommended():
    return read_params(PROFILES / "paper.yaml").variants["T_R"].recipe()


@pytest.mark.parametrize("profile", ["embedded", "smoke", "cifar10", "paper"])
def test_a_block_read_without_validation_gives_the_same_recipe(profile):
    """What a machine without the validation library trains is what params say."""
    blocks = yaml.safe_load((PROFILES / f"{profile}.yaml").read_text())["variants"]
    for name, variant in read_params(PROFILES / f"{profile}.yaml").variants.items():
        assert Recipe.of(blocks[name]) == variant.recipe()


def test_a_recipe_comes_back_from_its_content():
    assert Recipe.of(recommended().content()) == recommended()


def test_the_learning_rate_falls_at_the_milestones():
    rates = [recommended().learning_rate_in(epoch) for epoch in (0, 99, 100, 104, 105, 109)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_a_shortened_recipe_keeps_its_schedules_proportions():
    short = recommended().shortened(11)
    assert (short.epochs, short.milestones) == (11, (10, 10))
    assert recommended().shortened(55).milestones == (50, 52)
    assert recommended().shortened(4).milestones == (3, 3)
    assert recommended().shortened(1).milestones == (1, 1)


def test_a_setting_takes_the_place_of_what_it_names_and_of_nothing_else():
    setting = Setting(2.0, 0.04, 7, 0.5, 0.05, 2e-4, 55, 64, False)
    new, old = setting.applied_to(recommended()), recommended()
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
    variants = read_params(PROFILES / "paper.yaml").variants
    norms = {name: variant.recipe().norms for name, variant in variants.items()}
    assert norms == {
        "S": ("Linf",), "E_S": ("Linf",), "T_R": ("Linf",), "T_B": ("Linf",), "T_B_A": ("Linf", "L2"), "T_L2": ("L2",),
    }  # fmt: skip
