"""Models by the texts that name them."""

import pytest
import torch

from made.pretrained import SHAPE, block, network, pretrained_folder
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


def hubconf(folder):
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(
        "from torch import nn\n\n\ndef small():\n    return nn.Linear(3, 2)\n\n\ndef number():\n    return 3\n"
    )
    return folder


def test_an_entry_point_of_a_hub_folder_gives_its_network_in_eval_mode(tmp_path):
    model = load_model(f"hub:{hubconf(tmp_path / 'mine')}:small")
    assert isinstance(model, torch.nn.Linear)
    assert not model.training


def test_a_repository_that_torch_hub_has_downloaded_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    hubconf(tmp_path / "owner_nets_main")
    assert isinstance(load_model("hub:owner/nets:small"), torch.nn.Linear)
    hubconf(tmp_path / "owner_nets_old")
    with pytest.raises(FetchError, match="hub:owner/nets:small: expected one folder with a hubconf.py, .* found 2"):
        load_model("hub:owner/nets:small")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [("large", "expected an entry point large without arguments"), ("number", "expected it to give a torch.nn.Module, got int")],
)  # fmt: skip
def test_an_entry_point_that_gives_no_network_is_refused(tmp_path, entry, expected):
    with pytest.raises(FetchError, match=expected):
        load_model(f"hub:{hubconf(tmp_path / 'mine')}:{entry}")


def test_an_exported_program_takes_images_as_they_are(tmp_path):
    net, x = network().eval(), torch.rand(2, *SHAPE)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "mine.pt2")
    torch.testing.assert_close(load_model(f"exported:{tmp_path / 'mine.pt2'}")(x), net(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_pretrained_network_of_timms_normalises_as_it_was_trained(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    net = timm.create_model("test_byobnet", pretrained=False).eval()
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    net.pretrained_cfg = {"mean": mean.flatten().tolist(), "std": std.flatten().tolist()}
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: net if pretrained else None)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(load_model("timm:test_byobnet")(x), net((x - mean) / std))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet2b", "resnet2b: expected verification:NAME, robustbench:NAME, onnx:FILE, .* or FILE.py:FUNCTION, got another text"),
        ("exported:none.pt2", "none.pt2: expected a file of torch.export.save, found none"),
        ("hub:nowhere:small", "hub:nowhere:small: expected one folder with a hubconf.py, .* found 0; nothing is downloaded here"),
        ("verification:resnet3b", "resnet3b: expected a network of the roster verification"),
        ("robustbench:Nobody2020", "Nobody2020: expected one of 76 models"),
        ("onnx:none.onnx", "none.onnx: expected an ONNX file, found none"),
    ],
)  # fmt: skip
def test_a_text_that_names_nothing_is_refused(text, expected):
    with pytest.raises(FetchError, match=expected):
        load_model(text)
