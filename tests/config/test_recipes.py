from pathlib import Path

import pytest
import yaml

from nnrobust.config.params import read_params
from nnrobust.config.recipes import Recipe

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
