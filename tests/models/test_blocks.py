"""What is stated of a model, and the roster `verification`."""

from collections import Counter

import pytest

from made.pretrained import block
from nnrobust.errors import FetchError, ParamError
from nnrobust.models.architectures import ARCHITECTURES
from nnrobust.models.blocks import find_model, verification


def test_the_roster_has_the_networks_of_three_datasets_each_with_a_name_that_a_stage_can_have():
    models = verification()
    assert Counter(model.dataset for model in models.values()) == {"cifar10": 19, "mnist": 4, "fashion_mnist": 1}
    assert all(name.replace("_", "").isalnum() for name in models)


def test_every_network_of_the_roster_has_a_hash_a_licence_and_a_known_architecture():
    for model in verification().values():
        assert model.sha256
        assert model.licence
        assert model.copyright
        assert model.architecture in ARCHITECTURES
        assert len(model.classes) == 10


def test_files_and_hashes_of_the_roster_differ():
    models = verification().values()
    assert len({model.file_name for model in models}) == len({model.sha256 for model in models}) == len(models)


def test_an_unknown_name_is_refused():
    with pytest.raises(
        FetchError, match="nothing: expected a network of the roster verification, .* known here: resnet2b, "
    ):
        find_model("nothing")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("source", "gitlab:a/b", "github:OWNER/NAME, or local"),
        ("sha256", "abc", "64 hex digits, or none for a local file"),
        ("mean", (0.5,), "3 numbers, one a channel"),
        ("std", (1.0, 0.0, 1.0), "3 numbers above 0"),
        ("value_range", (1.0, 0.0), "two numbers, the lower first"),
        ("layout", "CHW", "one of NCHW, NHWC"),
        ("classes", ("cat", "cat"), "two or more different names"),
        ("clean_accuracy", 69.25, "a fraction, or none"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_key(key, value, expected):
    with pytest.raises(ParamError, match=f"models.mine.{key}: expected {expected}, got"):
        block(**{key: value})


@pytest.mark.parametrize(("changes", "key"), [({"sha256": "a" * 64}, "commit"), ({"commit": "a" * 40}, "sha256")])
def test_a_public_file_needs_a_commit_and_a_hash(changes, key):
    with pytest.raises(ParamError, match=f"models.mine.{key}: expected"):
        block(source="github:a/b", **changes)
