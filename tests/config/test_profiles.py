"""Profiles: what an overlay changes, what it may not, and the file that comes of it."""

import re

import pytest
import yaml

from made.project import ROOT, params_of, profile
from nnrobust.config.params import parse_params
from nnrobust.config.profiles import compose, is_edited, read_profile, write_params
from nnrobust.errors import ParamError
from nnrobust.experiments.run_folder import calls_of
from nnrobust.models.blocks import Model, verification
from nnrobust.zoo.models import find, newer, roster

PROFILES = ROOT / "profiles"
NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml") if path.stem != "base")


@pytest.fixture
def folder(tmp_path):
    """A folder of profiles with `base.yaml` alone."""
    (tmp_path / "base.yaml").write_text((PROFILES / "base.yaml").read_text())
    return tmp_path


def overlay(folder, text, name="mine"):
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_is_valid_and_has_the_same_values_with_and_without_comments(name):
    assert params_of(name).profile == name
    assert yaml.safe_load(compose(PROFILES / f"{name}.yaml")) == profile(name)


@pytest.mark.skipif((ROOT / "PKG-INFO").exists(), reason="a source distribution has no published results")
@pytest.mark.parametrize("name", NAMES)
def test_networks_that_a_profile_imports_are_in_this_repository_on_its_dataset_at_its_epsilons(name):
    params = params_of(name)
    for network, place in params.imported.items():
        path = ROOT / place if place.endswith(".parquet") else ROOT / place / f"{network}.parquet"
        assert path.exists()
        [call, *_] = calls_of(path.parent)
        assert call["dataset"] == params.data.name
        assert call["settings"]["epsilon"] == profile(name)["epsilon"]


def test_the_base_alone_is_a_complete_file():
    assert parse_params(compose(PROFILES / "base.yaml"), "base.yaml") == params_of("embedded")


def test_all_under_bounds_are_those_that_linear_bounds_go_through(tmp_path):
    text = "extends: base\nvariants: {E_S: null, T_R_again: {like: T_R}, S: {architecture: mnist_cnn}}\nmodels: verification:cifar10\n"
    (tmp_path / "base.yaml").write_text((PROFILES / "base.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(text)
    bounds = read_profile(tmp_path / "mine.yaml")["bounds"]
    assert bounds["variants"] == ["T_R", "T_B", "T_B_A", "T_L2", "T_R_again"]
    assert len(bounds["models"]) == 14
    assert {"wide_kw", "small_8px"} <= set(bounds["models"])
    assert not {"resnet2b", "conv_small_sigmoid"} & set(bounds["models"])


def test_every_key_of_the_base_is_in_a_composed_file_with_its_comment():
    text = compose(PROFILES / "paper.yaml")
    base = re.sub(
        r"\n  1NN_metric:.*?(?=\n\S)", "", (PROFILES / "base.yaml").read_text(), flags=re.DOTALL
    )  # not in paper
    for line in base.splitlines():
        key, hash_sign, comment = line.partition(" #")
        if ":" in key and hash_sign and "{" not in key and not key.strip().startswith(("T_R:", "T_L2:")):
            assert comment in text, line


def test_mappings_are_merged_and_lists_and_values_replaced(folder):
    path = overlay(folder, "extends: base\nattack: {seed: 3, attacks: [{name: fmn, steps: 2, restarts: 1}]}\n")
    mine, base = read_profile(path), profile("embedded")
    assert mine["attack"] == base["attack"] | {"seed": 3, "attacks": [{"name": "fmn", "steps": 2, "restarts": 1}]}
    assert mine | {"attack": base["attack"], "profile": "embedded"} == base


def test_the_star_changes_every_variant_before_the_named_ones_do(folder):
    text = "extends: base\nvariants:\n  T_R: {epochs: 9}\n  '*': {epochs: 7, milestones: [5]}\n"
    variants = read_profile(overlay(folder, text))["variants"]
    assert {name: block["epochs"] for name, block in variants.items()} == dict.fromkeys(variants, 7) | {"T_R": 9}
    assert {tuple(block["milestones"]) for block in variants.values()} == {(5,)}


def test_an_overlay_may_extend_an_overlay(folder):
    overlay(folder, "extends: base\ngrowth: {halvings: 2, seeds: [7]}\n", "below")
    path = overlay(folder, "extends: below\ngrowth: {halvings: 1}\n")
    assert read_profile(path)["growth"] == profile("embedded")["growth"] | {"halvings": 1, "seeds": [7]}
    assert read_profile(path)["profile"] == "mine"


def test_a_variant_like_another_is_a_copy_with_changes(folder):
    text = "extends: base\nvariants:\n  T_R: {epochs: 9}\n  T_R_10: {like: T_R, problem: all_classes, trades: {beta: 3.0}}\n"
    variants = read_profile(overlay(folder, text))["variants"]
    expected = variants["T_R"] | {"problem": "all_classes", "trades": variants["T_R"]["trades"] | {"beta": 3.0}}
    assert variants["T_R_10"] == expected
    assert (variants["T_R"]["problem"], variants["T_R"]["trades"]["beta"], variants["T_R_10"]["epochs"]) == (
        "pairs",
        6.0,
        9,
    )


def test_a_variant_may_be_like_known_ones_alone_and_change_known_keys_alone(folder):
    with pytest.raises(ParamError, match=r"mine\.yaml: variants\.X\.like: expected one of \['S', 'E_S', .*\], got 'T'"):
        read_profile(overlay(folder, "extends: base\nvariants: {X: {like: T}}\n"))
    with pytest.raises(ParamError, match=r"mine\.yaml: variants\.X\.epoch: unknown key; did you mean epochs\?"):
        read_profile(overlay(folder, "extends: base\nvariants: {X: {like: S, epoch: 3}}\n"))


def test_a_variant_is_one_block_added_and_null_takes_one_out(folder):
    block = yaml.safe_dump(
        {"extends": "base", "variants": {"E_S": None, "T_L2_again": profile("paper")["variants"]["T_L2"]}}
    )
    params = parse_params(compose(overlay(folder, block)), "mine")
    assert list(params.variants) == ["S", "T_R", "T_B", "T_B_A", "T_L2", "T_L2_again"]


@pytest.mark.parametrize(("key", "besides"), [
    ("classifiers", {"growth": {"classifiers": []}}),
    ("variants", {"search": {"variants": []}, "examples": {"classifiers": {"T_R": None}}}),
])  # fmt: skip
def test_all_entries_taken_out_one_by_one_leave_an_empty_mapping_in_the_file_too(folder, key, besides):
    names = dict.fromkeys(profile("embedded")[key])
    path = overlay(folder, yaml.safe_dump({"extends": "base", key: names} | besides))
    assert yaml.safe_load(compose(path))[key] == read_profile(path)[key] == {}


def test_an_empty_mapping_empties_the_one_there(folder):
    text = "extends: base\nvariants: {}\nsearch: {variants: []}\nexamples: {classifiers: {T_R: null}}\n"
    params = parse_params(compose(overlay(folder, text)), "mine")
    assert (params.variants, params.examples.classifiers) == ({}, {"1NN": "data/prepared"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: base\nplots: {}\n", r"mine\.yaml: plots: unknown key; did you mean plot\?"),
        ("extends: base\nplot: {dpi: 3}\n", r"mine\.yaml: plot\.dpi: unknown key; known here: dots_per_inch"),
        ("extends: base\nvariants: {'*': {epoch: 3}}\n", r"variants\.S\.epoch: unknown key; did you mean epochs\?"),
        ("extends: base\nplot: {dots_per_inch: few}\n", r"plot\.dots_per_inch: expected a valid integer, got 'few'"),
        ("extends: bases\n", r"bases\.yaml: expected a profile, found none; there are: base, mine"),
        ("extends: [\n", r"mine\.yaml: expected YAML"),
        ("extends: base\ngrowth: {halvings: 2}\ngrowth: {halvings: 1}\n", r"mine\.yaml, line 3: expected each key once, got 'growth' again, first in line 2"),
        ("extends: mine\n", r"mine\.yaml: extends: expected a chain that ends in base, got one that comes back to mine"),
        ("extends: 5\n", r"mine\.yaml: extends: expected the name of a profile beside it, got 5"),
        ("extends: ../base\n", r"mine\.yaml: extends: expected the name of a profile beside it, got '../base'"),
        ("extends: base\nvariants: {'*': 5}\n", r"variants: expected a block of keys for \* and each variant, got 5"),
        ("extends: base\nzoo: null\n", r"mine\.yaml: zoo: expected .*got None"),
        ("extends: base\nzoo: {models: [[x]]}\n", r"zoo\.models\.0: expected .*got \['x'\]"),
        ("zoo: {models: []}\n", r"mine\.yaml: profile: expected this key, got none; start it with `extends: base`"),
        ("- 1\n", r"mine\.yaml: expected blocks of keys, got list"),
        ("extends: base\nzoo: {models: publisht}\n", r"zoo\.models: expected a list of names, got the word 'publisht'"),
    ],
)  # fmt: skip
def test_a_wrong_overlay_is_refused_with_file_key_and_hint(folder, text, expected):
    with pytest.raises(ParamError, match=expected):
        compose(overlay(folder, text))


def test_a_roster_is_written_out_with_its_footnotes(folder):
    for name, models in (("published", roster()), ("newer", newer())):
        text = compose(overlay(folder, f"extends: base\nzoo: {{models: {name}}}\n"))
        assert yaml.safe_load(text)["zoo"]["models"] == list(models)
        notes = dict(line.strip(" -").split(" # ") for line in text.splitlines() if line.startswith("    - ") and " # " in line
                     and "{" not in line)  # fmt: skip
        assert notes == {
            one: "not adversarially trained" if one == "Standard" else f"trained for {find(one).epsilon}, not 8/255"
            for one in models if one == "Standard" or find(one).epsilon != "8/255"
        }  # fmt: skip


def test_edits_are_not_overwritten_unless_forced(tmp_path):
    path, smoke, paper = tmp_path / "params.yaml", PROFILES / "smoke.yaml", PROFILES / "paper.yaml"
    write_params(smoke, path)
    assert not is_edited(path.read_text())
    write_params(paper, path)
    assert path.read_text() == compose(paper)
    edited = path.read_text().replace("epochs: 110", "epochs: 111", 1)
    path.write_text(edited)
    with pytest.raises(
        ParamError, match=r"params\.yaml: expected a file as `make profile` wrote it, got one with edits"
    ):
        write_params(smoke, path)
    assert path.read_text() == edited
    write_params(smoke, path, force=True)
    assert path.read_text() == compose(smoke)


def test_a_file_that_was_never_composed_counts_as_edited(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text((PROFILES / "base.yaml").read_text())
    with pytest.raises(ParamError, match="FORCE=1"):
        write_params(PROFILES / "smoke.yaml", path)


def test_the_roster_verification_is_written_out_as_the_blocks_of_its_networks(folder):
    text = compose(overlay(folder, "extends: base\ndata: {source: mnist}\nmodels: verification\n"))
    written = yaml.safe_load(text)["models"]
    assert list(written) == [name for name, model in verification().items() if model.dataset == "mnist"]
    for name, block in written.items():
        assert Model.of(name, block) == verification()[name]
        assert (block["allowance"], block["problems"]) == (0.05, "both")
    assert all("    classes: [" in text for _ in written)


def test_networks_of_a_roster_are_changed_or_taken_out_where_it_is_named(folder):
    models = "{'*': 'verification:cifar10', resnet20: {allowance: 0.15}, resnet56: null}"
    written = yaml.safe_load(
        compose(overlay(folder, f"extends: base\ndata: {{source: image_folder}}\nmodels: {models}\n"))
    )
    assert written["models"]["resnet20"]["allowance"] == 0.15
    assert written["models"]["resnet2b"]["allowance"] == 0.05
    assert "resnet56" not in written["models"]


@pytest.mark.parametrize("wanted", ["verification", "verified", "'verification:svhn'", "[resnet20]"])
def test_a_roster_that_has_no_network_for_the_dataset_is_refused(folder, wanted):
    with pytest.raises(
        ParamError, match=r"mine\.yaml: models: expected verification:DATASET with one of cifar10, mnist"
    ):
        compose(overlay(folder, f"extends: base\nmodels: {wanted}\n"))
