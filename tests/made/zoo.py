"""Checkpoints with random weights in RobustBench's layout, and files that are none."""

import warnings
from pathlib import Path

import numpy as np
import torch

from nnrobust.zoo.load import build, zoo_module
from nnrobust.zoo.models import find

SMALL = "Andriushchenko2020Understanding"
FAMILIES = {
    "PreActResNet": SMALL,
    "WideResNet": "Ding2020MMA",
    "DMWideResNet with Swish": "Rebuffi2021Fixing_28_10_cutmix_ddpm",
    "ensemble of three": "Chen2020Adversarial",
    "XCiT": "Debenedetti2022Light_XCiT-S12",
}
QUOTA_PAGE = (
    b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>"
    b'<p class="uc-error-caption">Sorry, you can\'t view or download this file at this time.</p>'
    b'<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p></body></html>'
)


def import_zoo():
    """Imports robustbench, timm and gdown, whose own imports warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("robustbench.utils", "robustbench.model_zoo", "gdown", "timm"):
            zoo_module(name)


def write_checkpoints(name: str, folder: Path, seed: int = 0) -> torch.nn.Module:
    """Writes the files of a model into `folder`, wrapped as the published ones are, and returns the network they hold."""
    import_zoo()
    model = find(name)
    torch.manual_seed(seed)
    network = build(model).eval()
    if len(model.file_names) > 1:
        for member, file_name in zip(network.models, model.file_names, strict=True):
            torch.save({"state_dict": parallel(member), "best_prec1": np.float32(0.5)}, folder / file_name)
    elif model.is_timm:
        torch.save({"model": network.model.state_dict()}, folder / model.file_names[0])
    elif name == SMALL:
        torch.save({"last": network.state_dict(), "accuracy": np.float64(0.5)}, folder / model.file_names[0])
    elif name == "Ding2020MMA":
        torch.save(network.state_dict(), folder / model.file_names[0], _use_new_zipfile_serialization=False)
    else:
        torch.save({"state_dict": parallel(network)}, folder / model.file_names[0])
    return network


def parallel(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights as a network trained on several GPUs names them."""
    return {f"module.{key}": value for key, value in network.state_dict().items()}


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def write_malicious(path: Path, made: Path, is_legacy: bool) -> None:
    """A large enough checkpoint whose unpickling would make the file `made`, beside weights."""
    content = {"last": Payload(made), "weights": torch.zeros(500_000)}
    torch.save(content, path, _use_new_zipfile_serialization=not is_legacy)


def write_old_numpy(path: Path) -> None:
    """A legacy checkpoint with a scalar under the name that numpy 1 gave its maker."""
    torch.save(
        {"weights": torch.zeros(500_000), "accuracy": np.float64(0.5)}, path, _use_new_zipfile_serialization=False
    )
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def write_tiny(path: Path, seed: int = 0, n: int = 500_000, is_legacy: bool = False) -> bytes:
    """A checkpoint of `n` random weights, which fits no architecture but passes every check of a file; and its bytes."""
    weights = torch.rand(n, generator=torch.Generator().manual_seed(seed))
    torch.save({"last": {"weights": weights}}, path, _use_new_zipfile_serialization=not is_legacy)
    return path.read_bytes()
