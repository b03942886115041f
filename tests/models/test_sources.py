"""Models by the texts that name them."""

import pytest
import torch

from made.pretrained import block, network, pretrained_folder
from made.zoo import SMALL, write_checkpoints
from nnrobust import load_model
from nnrobust.errors import FetchError
from nnrobust.zoo.fetch import fetch
from nnrobust.zoo.models import find


def test_a_block_is_loaded_from_a_folder(tmp_path):
    torch.save(network().state_dict(), tmp_path / "mine.pt")
    assert load_model(block(), tmp_path, ["frog", "cat", "dog"]).class_names == ("frog", "cat", "dog")


def test_a_function_of_a_file_gives_its_network_in_eval_mode(tmp_path):
    (tmp_path / "mine.py").write_text("from torch import nn\n\n\ndef build():\n    return nn.Linear(3, 2)\n")
    model = load_model(f"{tmp_path}/mine.py:build")
    assert isinstance(model, torch.nn.Linear)
    assert not model.training


def test_a_network_of_the_roster_is_named_by_the_roster():
    model = load_model("verification:base_kw", pretrained_folder())
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_model_of_robustbench_lies_where_the_workflow_puts_it(tmp_path):
    (tmp_path / "local").mkdir()
    network = write_checkpoints(SMALL, tmp_path / "local")
    fetch(find(SMALL), tmp_path / "zoo" / SMALL, tmp_path / "zoo.lock.json", tmp_path / "local")
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(load_model(f"robustbench:{SMALL}", tmp_path / "zoo")(x), network(x))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet2b", "resnet2b: expected verification:NAME, robustbench:NAME, onnx:FILE or FILE.py:FUNCTION, got another text"),
        ("verification:resnet3b", "resnet3b: expected a network of the roster verification"),
        ("robustbench:Nobody2020", "Nobody2020: expected one of 76 models"),
        ("onnx:none.onnx", "none.onnx: expected an ONNX file, found none"),
    ],
)  # fmt: skip
def test_a_text_that_names_nothing_is_refused(text, expected):
    with pytest.raises(FetchError, match=expected):
        load_model(text)
