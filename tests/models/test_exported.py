"""Programs of `torch.export`."""

import io
import json
import pickle
import zipfile

import pytest
import torch
from torch import nn

from made.pretrained import SHAPE, block, network
from nnrobust.errors import FetchError
from nnrobust.models.exported import read_exported
from nnrobust.models.load import load_block

X = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))


def exported(path, net=None, size=None, inputs=None):
    """A file of the network's program, for batches of `size` images, of any number for None."""
    net = network().eval() if net is None else net
    inputs = (X[: size or 2],) if inputs is None else inputs
    shapes = None if size else tuple({0: torch.export.Dim("n")} for _ in inputs)
    torch.export.save(torch.export.export(net, inputs, dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("exported") / "mine.pt2")


def changed(whole, path, change):
    """The file with the contents of its members changed: `change` gives new ones by the ends of their names."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for end, make in change.items():
                content = make(content) if name.endswith(end) else content
            new.writestr(name, content)
    return path


def edited(make):
    """What `make` does to the JSON of a member."""

    def edit(content):
        value = json.loads(content)
        make(value)
        return json.dumps(value).encode()

    return edit


@pytest.mark.parametrize("size", [None, 1, 2])
def test_a_program_gives_its_networks_logits_and_gradients_for_any_number_of_images(tmp_path, size):
    x, twin = X.clone().requires_grad_(), X.clone().requires_grad_()
    net = network().eval()
    logits = read_exported(exported(tmp_path / "mine.pt2", net, size))(x)
    torch.testing.assert_close(logits, net(twin))
    logits.square().sum().backward()
    net(twin).square().sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)


def test_a_program_is_the_network_of_a_block(whole):
    about = block(architecture="exported", path="mine.pt2", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    model = load_block(about, whole.parent)
    torch.testing.assert_close(model(X), network()(X - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_program_of_training_mode_is_refused(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 3)).train()
    with pytest.raises(
        FetchError, match=r"mine.pt2: expected a network exported in eval mode, got aten.dropout.default in training"
    ):
        read_exported(exported(tmp_path / "mine.pt2", net))


def test_several_inputs_are_refused(tmp_path):
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(FetchError, match="mine.pt2: expected one input and one output, got 2 and 1"):
        read_exported(exported(tmp_path / "mine.pt2", Two(), inputs=(X[:2], X[:2])))


class Trap:
    """An object whose unpickling makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _node(value):
    return value["graph_module"]["graph"]["nodes"][0]


@pytest.mark.parametrize(
    ("end", "make", "expected"),
    [
        ("model.json", edited(lambda value: _node(value).update(target="torch.hub.load")), "PyTorch's own operators, got target 'torch.hub.load'"),
        ("model.json", edited(lambda value: _node(value).update(target="_operator.call")), "got target '_operator.call'"),
        ("model.json", edited(lambda value: value["range_constraints"].update({"s0+exit()": {}})), r"plain names, got  's0\+exit\(\)'"),
        ("model.json", edited(lambda value: value["graph_module"]["graph"]["inputs"][0]["as_tensor"].update(name="x=exit()")), r"got name 'x=exit\(\)'"),
        ("model.json", lambda content: content.replace(b"Symbol(", b"exit(", 1), "got expr_str"),
        ("model_constants_config.json", edited(lambda value: value["config"].update(c={"path_name": "opaque_obj_0", "use_pickle": False})), "plain tensors, got c, which would be unpickled"),
        ("model_weights_config.json", edited(lambda value: next(iter(value["config"].values())).update(use_pickle=True)), "plain tensors, got 0.weight"),
        ("model_weights_config.json", lambda content: content[:40], "got one that cannot be read"),
        ("weight_0", lambda content: content[:-8], "expected a program that PyTorch .* loads, got"),
    ],
)  # fmt: skip
def test_a_file_that_might_run_code_or_is_damaged_is_refused(whole, tmp_path, end, make, expected):
    with pytest.raises(FetchError, match=f"bad.pt2: .*{expected}"):
        read_exported(changed(whole, tmp_path / "bad.pt2", {end: make}))


def test_sample_inputs_are_not_unpickled_where_that_runs_code(whole, tmp_path):
    def trap(_):
        stream = io.BytesIO()
        torch.save(Trap(tmp_path / "sprung"), stream, pickle_module=pickle)
        return stream.getvalue()

    with pytest.raises(
        FetchError, match="bad.pt2: expected sample inputs that are tensors, got a pickle that wants .*open"
    ):
        read_exported(changed(whole, tmp_path / "bad.pt2", {"sample_inputs/model.pt": trap}))
    assert not (tmp_path / "sprung").exists()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FetchError, match="expected a file of torch.export.save, found none"):
        read_exported(tmp_path / "none.pt2")
    torch.save({"a": torch.ones(2)}, tmp_path / "mine.pt")
    with pytest.raises(
        FetchError, match="mine.pt: expected the archive format of PyTorch 2.8 and later, got another zip"
    ):
        read_exported(tmp_path / "mine.pt")
    (tmp_path / "text.pt2").write_text("no zip")
    with pytest.raises(FetchError, match="text.pt2: expected a file of torch.export.save, got one that cannot be read"):
        read_exported(tmp_path / "text.pt2")
