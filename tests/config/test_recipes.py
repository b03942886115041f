import pytest

from made.project import params_of, profile
from nnrobust.config.recipes import Recipe, Setting


def recommended():
    return params_of("paper").variants["T_R"].recipe()


@pytest.mark.parametrize("name", ["embedded", "smoke", "cifar10", "paper"])
def test_a_block_read_without_validation_gives_the_same_recipe(name):
    """What a machine without the validation library trains is what params say."""
    blocks = profile(name)["variants"]
    for variant_name, variant in params_of(name).variants.items():
        assert Recipe.of(blocks[variant_name]) == variant.recipe()
    assert Setting.space_of(profile(name)["search"]["space"]) == params_of(name).search.space.model_dump()


def test_a_recipe_comes_back_from_its_content():
    assert Recipe.of(recommended().content()) == recommended()
