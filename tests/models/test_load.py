"""Models as modules that take images in [0, 1]."""

import numpy as np
import pytest
import torch

from made.pretrained import SHAPE, block, network, pretrained_folder
from nnrobust.errors import FetchError
from nnrobust.models.architectures import ARCHITECTURES
from nnrobust.models.blocks import verification
from nnrobust.models.load import built_by, load_block

X = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def loaded(folder, classes=None, **changes):
    torch.save(network().state_dict(), folder / "mine.pt")
    return load_block(block(**changes), folder, classes)


def test_a_model_normalises_images_as_its_block_states(tmp_path):
    expected = network()(
        (X - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
    )
    torch.testing.assert_close(loaded(tmp_path)(X), expected)


def test_a_model_is_in_eval_mode_and_its_weights_take_no_gradient(tmp_path):
    model = loaded(tmp_path)
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_mean_is_in_units_of_the_value_range(tmp_path):
    mean, std = torch.tensor([120.0, 110.0, 100.0]), torch.tensor([60.0, 61.0, 62.0])
    model = loaded(tmp_path, value_range=(0.0, 255.0), mean=tuple(mean.tolist()), std=tuple(std.tolist()))
    torch.testing.assert_close(model(X), network()((255 * X - mean.view(3, 1, 1)) / std.view(3, 1, 1)))


def test_channels_come_last_where_the_block_says_so(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = nn.Linear(192, 3)\n\n    def forward(self, x):\n        return self.layer(x.flatten(1))\n"
    )
    net = built_by(f"{tmp_path}/mine.py:Net")
    torch.save(net.state_dict(), tmp_path / "mine.pt")
    about = block(architecture=f"{tmp_path}/mine.py:Net", layout="NHWC", mean=(0.0,) * 3, std=(1.0,) * 3)
    torch.testing.assert_close(load_block(about, tmp_path)(X), net(X.permute(0, 2, 3, 1)))


def test_logits_come_in_the_order_of_the_datasets_classes(tmp_path):
    own, ordered = loaded(tmp_path), loaded(tmp_path, ["frog", "cat", "dog"])
    assert torch.equal(ordered(X), own(X)[:, [2, 0, 1]])
    assert ordered.class_names == ("frog", "cat", "dog")


def test_a_dataset_of_other_classes_is_refused(tmp_path):
    with pytest.raises(
        FetchError,
        match="mine: expected the dataset's classes, cat, dog, bird, got .*; they differ in bird",
    ):
        loaded(tmp_path, ["cat", "dog", "bird"])


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    with pytest.raises(
        FetchError,
        match=r"mine: mine.pt, wide: expected the 8 weights .* got 8, with 0.weight \(8, 3, 4, 4\), not \(16",
    ):
        loaded(tmp_path, architecture="wide")
    with pytest.raises(FetchError, match=r"mine.pt, deep: .* got 8, without 4.weight \(8 such\), with 5.weight"):
        loaded(tmp_path, architecture="deep")


def test_an_unknown_architecture_is_refused(tmp_path):
    with pytest.raises(
        FetchError,
        match="mine: expected architecture onnx, exported, timm:NAME, FILE.py:FUNCTION or one of wide, .*, got 'resnet99'",
    ):
        loaded(tmp_path, architecture="resnet99")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_of_an_architecture_of_timms_are_loaded(tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    net = timm.create_model("test_byobnet", pretrained=False, num_classes=3).eval()
    torch.save(net.state_dict(), tmp_path / "mine.pt")
    about = block(architecture="timm:test_byobnet", shape=(3, 32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(load_block(about, tmp_path)(x), net(x))
    with pytest.raises(FetchError, match="mine: expected timm, with an architecture timm:nothing, got Unknown model"):
        load_block(block(architecture="timm:nothing"), tmp_path)


def test_another_number_of_classes_than_the_block_states_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))\n"
    )
    torch.save(built_by(f"{tmp_path}/mine.py:build").state_dict(), tmp_path / "mine.pt")
    with pytest.raises(FetchError, match=r"mine: expected 2 finite logits for a grey image, got \(1, 3\)"):
        load_block(block(architecture=f"{tmp_path}/mine.py:build", classes=("cat", "dog")), tmp_path)
    with pytest.raises(
        FetchError, match=r"mine: expected a network of images \(3, 9, 9\), in NCHW, got .*; state its shape and layout"
    ):
        load_block(block(architecture=f"{tmp_path}/mine.py:build", shape=(3, 9, 9)), tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mine.py:nothing", "expected a function nothing in .*mine.py, found none"),
        ("mine.py:number", "expected it to give a torch.nn.Module, got int"),
        ("other.py:build", "expected FILE.py:FUNCTION, found no Python file"),
        ("mine.py", "expected FILE.py:FUNCTION, found no Python file"),
    ],
)
def test_a_function_that_gives_no_network_is_refused(tmp_path, text, expected):
    (tmp_path / "mine.py").write_text("def number():\n    return 3\n")
    with pytest.raises(FetchError, match=expected):
        built_by(f"{tmp_path}/{text}")


@pytest.mark.parametrize(("name", "n"), [("resnet20", 269_722), ("resnet56", 853_018)])
def test_the_deep_residual_networks_have_the_published_number_of_parameters(name, n):
    assert sum(parameter.numel() for parameter in ARCHITECTURES[name]((3, 32, 32), 10).parameters()) == n


def test_all_networks_of_the_roster_load():
    for model in verification().values():
        assert load_block(model, pretrained_folder()).class_names == model.classes


@pytest.mark.parametrize(
    ("name", "percent"),
    [("resnet20", 92.5), ("resnet56", 94.5), ("resnet2b", 74.0), ("cnn_a_mix", 79.0), ("sgd_8px", 75.5)],
)
def test_networks_of_the_roster_are_as_accurate_on_200_official_images_as_measured_elsewhere(name, percent):
    with np.load(pretrained_folder().parent / "cifar10-official-200.npz") as stored:
        images, labels = stored["images"], stored["labels"]
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255
    predictions = load_block(verification()[name], pretrained_folder())(x).argmax(dim=1).numpy()
    assert 100 * (predictions == labels).mean() == pytest.approx(percent)
