"""Networks in ONNX files, built node by node here from the weights of a torch network."""

import gzip
import warnings

import pytest
import torch
from torch import nn

from made.pretrained import SHAPE, block
from nnrobust.errors import FetchError
from nnrobust.models.load import load_block
from nnrobust.models.onnx import read_onnx

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("onnx2torch", reason="the extra onnx is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
X = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    return net.eval()


def content(opset=13, batch="n", flat=None, last="Gemm", channels_last=False, n_inputs=1):
    """The bytes of the network's file; `flat`: the shape of a Reshape in place of Flatten; `last`: the last operator."""
    make, value, net = onnx.helper, onnx.numpy_helper.from_array, network()
    names = {"w": net[0].weight, "b": net[0].bias, "s": net[1].weight, "t": net[1].bias, "m": net[1].running_mean,
             "v": net[1].running_var, "l": net[4].weight, "c": net[4].bias}  # fmt: skip
    weights = [value(tensor.detach().numpy(), name) for name, tensor in names.items()]
    nodes = [make.make_node("Transpose", ["x"], ["x0"], perm=[0, 3, 1, 2])] if channels_last else []
    nodes += [
        make.make_node("Conv", ["x0" if channels_last else "x", "w", "b"], ["x1"], kernel_shape=[3, 3]),
        make.make_node("BatchNormalization", ["x1", "s", "t", "m", "v"], ["x2"]),
        make.make_node("Relu", ["x2"], ["x3"]),
    ]
    if flat:
        weights.append(value(torch.tensor(flat).numpy(), "flat"))
        nodes.append(make.make_node("Reshape", ["x3", "flat"], ["x4"]))
    else:
        nodes.append(make.make_node("Flatten", ["x3"], ["x4"]))
    nodes.append(make.make_node("Gemm", ["x4", "l", "c"], ["x5"], transB=1))
    nodes.append(make.make_node("Identity" if last == "Gemm" else last, ["x5"], ["y"]))
    shape = [batch, 8, 8, 3] if channels_last else [batch, 3, 8, 8]
    kind = onnx.TensorProto.FLOAT
    inputs = [make.make_tensor_value_info(name, kind, shape) for name in ("x", "z")[:n_inputs]]
    graph = make.make_graph(nodes, "net", inputs, [make.make_tensor_value_info("y", kind, [batch, 3])], weights)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", opset)])
    model.ir_version = 4
    return model.SerializeToString()


def read(folder, data):
    (folder / "net.onnx").write_bytes(data)
    return read_onnx(folder / "net.onnx")


@pytest.mark.parametrize("opset", [8, 9, 13])
@pytest.mark.parametrize(("batch", "flat"), [("n", None), (1, None), (1, [1, -1]), (1, [1, 144])])
def test_a_network_gives_the_logits_and_gradients_that_it_has_in_torch(tmp_path, opset, batch, flat):
    found, expected = read(tmp_path, content(opset, batch, flat)), network()
    torch.testing.assert_close(found(X), expected(X))
    gradients = []
    for net in (found, expected):
        x = X.clone().requires_grad_()
        gradients.append(torch.autograd.grad(net(x)[:, 0].sum(), x)[0])
    torch.testing.assert_close(*gradients)


def test_a_gzipped_file_is_read_as_it_is(tmp_path):
    torch.testing.assert_close(read(tmp_path, gzip.compress(content()))(X), network()(X))


def test_a_block_states_the_normalisation_and_the_layout_of_a_file(tmp_path):
    (tmp_path / "net.onnx").write_bytes(content(channels_last=True, batch=1))
    model = load_block(block(architecture="onnx", path="net.onnx", layout="NHWC"), tmp_path)
    x = (X - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
    torch.testing.assert_close(model(X), network()(x))


def test_unknown_operators_are_refused_by_name(tmp_path):
    with pytest.raises(
        FetchError, match="net.onnx: expected operators that onnx2torch converts at opset 13, got Hardmax; export"
    ):
        read(tmp_path, content(last="Hardmax"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lambda: b"nothing at all", "expected an ONNX file, gzipped or not, got one that cannot be read"),
        (lambda: b"", "expected an ONNX file, gzipped or not"),
        (lambda: gzip.compress(content())[:200], "expected an ONNX file, gzipped or not, got one that cannot be read"),
        (lambda: content(batch=4), "expected a batch size of one, or any, got 4"),
        (lambda: content(n_inputs=2), "expected one input and one output, got 2 and 1"),
    ],
    ids=["text", "empty", "cut off", "batch of four", "two inputs"],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, data, expected):
    with pytest.raises(FetchError, match=f"net.onnx: {expected}"):
        read(tmp_path, data())


def test_weights_in_other_files_are_refused(tmp_path):
    model = onnx.load_model_from_string(content())
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(
        FetchError, match="net.onnx: expected weights inside the file, got w in another; save it as one file"
    ):
        read(tmp_path, model.SerializeToString())
