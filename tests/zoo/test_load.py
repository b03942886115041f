"""Networks out of checkpoints with random weights, and checkpoints that are refused."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from made.project import ROOT
from made.zoo import FAMILIES, SMALL, import_zoo, write_checkpoints, write_malicious, write_old_numpy, write_tiny
from nnrobust.attacks.attack import attack
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec, of_network
from nnrobust.errors import FetchError
from nnrobust.threat import ThreatModel
from nnrobust.zoo.fetch import fetch
from nnrobust.zoo.files import fingerprint, record
from nnrobust.zoo.load import build, load, read_checkpoint, zoo_module
from nnrobust.zoo.models import LAYOUT, find, newer, roster

THREATS = [ThreatModel("Linf", 8 / 255), ThreatModel("L2", 8 / 255 * 3072**0.5)]
OLD_AMP = "ignore:.*torch.cuda.amp.autocast:FutureWarning:robustbench"
OLD_SWISH = "ignore:'saved_variables' is deprecated:DeprecationWarning:robustbench"
XCIT = "Debenedetti2022Light_XCiT-S12"


@pytest.fixture(autouse=True)
def _zoo_is_imported():
    import_zoo()


@pytest.fixture
def folder():
    """A folder that is gone right after the test: checkpoints are large."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def placed(name, folder, write, is_recorded=True):
    """Puts what `write` makes where the file of a model is looked for, and records it in `folder / "lock.json"`."""
    (file_name,) = find(name).file_names
    path = folder / LAYOUT / file_name
    path.parent.mkdir(parents=True)
    write(path)
    if is_recorded:
        record(find(name), file_name, fingerprint(path), folder / "lock.json")
    return path


def cifar10_images(n):
    """Test images (n, 3, 32, 32): CIFAR-10's where NNROBUST_CIFAR10 names a folder of test/<class>/*, made ones elsewhere."""
    root = os.environ.get("NNROBUST_CIFAR10")
    if root is None:
        return np.random.default_rng(0).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    classes = sorted(path for path in (Path(root).expanduser() / "test").iterdir() if path.is_dir())
    files = [sorted(classes[i % 10].iterdir())[i // 10] for i in range(n)]
    return np.stack([np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) for path in files])


def attacked(network, images, labels):
    """Verdicts by norm of three steps of APGD."""
    inputs = AttackInputs(images, labels, np.zeros_like(labels), np.arange(len(labels)))
    victim = of_network(network, torch.float32, False)
    return attack(victim, inputs, THREATS, [AttackSpec("apgd-ce", 3, 1, 0)], torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.filterwarnings(OLD_SWISH)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_each_family_is_fetched_from_a_folder_loaded_and_attacked(folder, family):
    name, lock = FAMILIES[family], folder / "lock.json"
    (folder / "local").mkdir()
    made = write_checkpoints(name, folder / "local")
    fetch(find(name), folder / "fetched", lock, folder / "local")
    shutil.rmtree(folder / "local")
    network = load(find(name), folder / "fetched", lock)
    assert not network.training
    images = cifar10_images(3)
    pixels = torch.from_numpy(images).float() / 255
    with torch.no_grad():
        expected, logits = made(pixels), network(pixels)
    assert logits.shape == (3, 10)
    assert torch.equal(logits, expected)
    # Attacked on the outputs it gives, so that random weights have something to lose.
    verdicts = attacked(network, images, logits.argmax(dim=1).numpy())
    assert list(verdicts) == ["Linf", "L2"]
    for verdict in verdicts.values():
        assert verdict.predictions.tolist() == logits.argmax(dim=1).tolist()
        assert set(verdict.status) == {"ok"}


@pytest.mark.slow
@pytest.mark.filterwarnings(OLD_AMP)
def test_all_69_are_built_with_as_many_parameters_as_published_and_answer_with_ten_outputs():
    """Built on torch's meta device, which has shapes and no numbers, but for two that compute while they are built.

    Checked for each: the number of parameters to three decimals of a million, and the shape of the output for images.
    """
    with_numbers = {"Kang2021Stable", "Bai2023Improving_edm"}
    for name, model in roster().items():
        device = "cpu" if name in with_numbers else "meta"
        with torch.device(device), torch.no_grad():
            network = build(model).eval()
            assert network(torch.rand(1, 3, 32, 32)).shape == (1, 10), name
        n_parameters = sum(one.numel() for one in network.parameters()) / 1e6
        assert n_parameters == pytest.approx(model.n_parameters, abs=6e-4), name


@pytest.mark.slow
@pytest.mark.filterwarnings(OLD_AMP)
def test_the_newer_models_are_built_with_as_many_parameters_as_the_table_says():
    for name, model in newer().items():
        with torch.device("cpu" if name == "Bai2024MixedNUTS" else "meta"), torch.no_grad():
            n_parameters = sum(one.numel() for one in build(model).parameters()) / 1e6
        assert model.n_parameters is None or n_parameters == pytest.approx(model.n_parameters, abs=6e-4), name


def test_building_and_loading_leave_torch_and_robustbench_as_they_were(folder):
    (folder / "local").mkdir()
    write_checkpoints(SMALL, folder / "local")
    admitted = set(torch.serialization.get_safe_globals())
    fetch(find(SMALL), folder, folder / "lock.json", folder / "local")
    load(find(SMALL), folder, folder / "lock.json")
    assert zoo_module("robustbench.utils").torch is torch
    assert "cuda" not in vars(torch.Tensor)
    assert set(torch.serialization.get_safe_globals()) == admitted


@pytest.mark.parametrize("is_legacy", [False, True])
@pytest.mark.parametrize("name", [SMALL, XCIT])
def test_a_checkpoint_that_would_run_code_is_refused_even_where_the_environment_asks_to_run_it(
    folder, monkeypatch, name, is_legacy
):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    made = folder / "made"
    path = placed(name, folder, lambda path: write_malicious(path, made, is_legacy))
    with pytest.raises(
        FetchError, match=rf"{name}: {name}\.pt: expected tensors, .* got a pickle that wants exec, which"
    ):
        load(find(name), folder, folder / "lock.json")
    assert not made.exists()
    # The payload is a live one.
    torch.load(path, weights_only=False)
    assert made.exists()


@pytest.mark.parametrize("is_legacy", [False, True])
def test_a_checkpoint_that_would_run_code_is_refused_when_it_is_fetched(folder, is_legacy):
    write_malicious(folder / f"{SMALL}.pt", folder / "made", is_legacy)
    with pytest.raises(FetchError, match="which may run code; nothing of it was run"):
        fetch(find(SMALL), folder / "out", folder / "lock.json", folder)
    assert not (folder / "made").exists()
    assert not [path for path in (folder / "out").rglob("*") if path.is_file()]
    assert not (folder / "lock.json").exists()


def test_numpy_scalars_are_admitted_as_numpy_1_and_2_name_them_and_arrays_are_not(folder):
    write_old_numpy(folder / "old.pt")
    assert read_checkpoint(find(SMALL), "old.pt", folder / "old.pt")["accuracy"] == 0.5
    torch.save({"losses": [np.float32(0.25), np.int64(3), np.bool_(True)]}, folder / "new.pt")
    assert read_checkpoint(find(SMALL), "new.pt", folder / "new.pt") == {"losses": [0.25, 3, True]}
    torch.save({"losses": np.zeros(3)}, folder / "array.pt")
    with pytest.raises(FetchError, match=r"got a pickle that wants numpy\._core\.multiarray\._reconstruct"):
        read_checkpoint(find(SMALL), "array.pt", folder / "array.pt")


@pytest.mark.parametrize(
    ("name", "cause"), [(SMALL, "KeyError: 'weights|RuntimeError: Error"), (XCIT, "RuntimeError: Error")]
)
def test_weights_of_another_architecture_are_refused(folder, name, cause):
    placed(name, folder, write_tiny)
    expected = f"{name}: expected the weights of .*, got a file of another layout .*{cause}.*; get it elsewhere"
    with pytest.raises(FetchError, match=expected):
        load(find(name), folder, folder / "lock.json")


def test_a_checkpoint_without_the_part_that_holds_the_weights_is_refused(folder):
    placed(SMALL, folder, lambda path: torch.save({"best": torch.zeros(500_000)}, path))
    with pytest.raises(FetchError, match=f"{SMALL}: expected the weights of PreActResNet-18 .* .KeyError: 'last'."):
        load(find(SMALL), folder, folder / "lock.json")


def test_weights_that_are_not_finite_are_refused(folder):
    network = build(find(SMALL)).eval()
    with torch.no_grad():
        next(network.parameters()).view(-1)[3] = torch.nan
    placed(SMALL, folder, lambda path: torch.save({"last": network.state_dict()}, path))
    with pytest.raises(FetchError, match=f"{SMALL}: expected finite weights in .*, got nan or infinity in "):
        load(find(SMALL), folder, folder / "lock.json")


@pytest.mark.slow
def test_a_file_of_another_layout_is_refused_when_it_is_fetched_and_the_remedy_works(folder):
    wrong, right, out, lock = folder / "wrong", folder / "right", folder / "out", folder / "lock.json"
    wrong.mkdir()
    right.mkdir()
    network = write_checkpoints(SMALL, right)
    torch.save(network.state_dict(), wrong / f"{SMALL}.pt")
    with pytest.raises(FetchError, match="expected the weights of .*, got a file of another layout .*zoo.local_dir"):
        fetch(find(SMALL), out, lock, wrong)
    assert not lock.exists()
    assert not list(out.rglob("*.pt"))
    fetch(find(SMALL), out, lock, right)
    assert torch.equal(next(load(find(SMALL), out, lock).parameters()), next(network.parameters()))
    next(out.rglob("*.pt")).unlink()
    fetch(find(SMALL), out, lock, right)


def test_the_hash_is_compared_before_anything_is_unpickled(folder):
    path = placed(SMALL, folder, write_tiny)
    write_malicious(path, folder / "made", is_legacy=False)
    with pytest.raises(FetchError, match=f"{SMALL}: {SMALL}.pt: expected sha256 .* got sha256"):
        load(find(SMALL), folder, folder / "lock.json")


def test_a_file_without_a_recorded_hash_is_not_loaded(folder):
    placed(SMALL, folder, write_tiny, is_recorded=False)
    with pytest.raises(
        FetchError, match=f"expected the sha256 of {SMALL}.pt in .*lock.json, found none; take the lock file"
    ):
        load(find(SMALL), folder, folder / "lock.json")


def test_a_model_that_was_not_fetched_is_an_error(folder):
    with pytest.raises(FetchError, match=f"{SMALL}: expected .*, found none; run `dvc repro fetch@{SMALL}`"):
        load(find(SMALL), folder, folder / "lock.json")


def test_an_ensemble_that_lacks_a_member_is_not_loaded(folder):
    model = find("Chen2020Adversarial")
    for file_name in model.file_names[:2]:
        (folder / LAYOUT).mkdir(parents=True, exist_ok=True)
        write_tiny(folder / LAYOUT / file_name)
        record(model, file_name, fingerprint(folder / LAYOUT / file_name), folder / "lock.json")
    with pytest.raises(FetchError, match=r"Chen2020Adversarial: expected .*Chen2020Adversarial\.pt_m2\.pt, found none"):
        load(model, folder, folder / "lock.json")


@pytest.mark.slow
def test_the_library_imports_where_robustbench_timm_and_gdown_are_missing_and_says_so_when_they_are_needed():
    code = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"robustbench", "timm", "gdown", "requests"}:
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Missing())
from nnrobust.zoo import fetch, files, load as zoo_load, models as zoo
try:
    zoo_load.build(zoo.find("Standard"))
except zoo_load.FetchError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "expected it installed (No module named 'robustbench'); run `make repro`" in done.stdout
