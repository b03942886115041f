import pytest
import yaml

from made.project import ROOT, params_of, profile
from nnrobust.attacks.attack import KINDS
from nnrobust.config.checks import SEVERAL_CLASSES
from nnrobust.config.params import read_params
from nnrobust.config.rosters import networks
from nnrobust.errors import ParamError


def written(tmp_path, change):
    content = profile("embedded")
    change(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_paper_profile_has_the_papers_numbers():
    params = params_of("paper")
    recommended = params.variants["T_R"]
    assert (recommended.epochs, recommended.batch_size, recommended.learning_rate) == (110, 128, 0.1)
    assert (recommended.weight_decay, recommended.momentum, recommended.milestones) == (5e-4, 0.9, [100, 105])
    assert recommended.trades.beta == 6.0
    (inner,) = recommended.trades.perturbations
    assert (inner.epsilon, inner.step_size, inner.steps) == (8 / 255, 2 / 255, 10)
    assert pytest.approx(1.7388, abs=5e-5) == params.epsilon.L2
    assert len(params.search.space.settings()) == 600
    assert params.search.n_trials == 600
    assert len(params.zoo.models) == 69
    assert [p.norm for p in params.variants["T_B_A"].trades.perturbations] == ["Linf", "L2"]
    (ball,) = params.variants["T_L2"].trades.perturbations
    assert (ball.norm, ball.epsilon) == ("L2", params.epsilon.L2)
    assert {name: one.checkpoint for name, one in params.variants.items() if "T_" not in name} == {
        "S": "last",
        "E_S": "last",
    }
    simple = ["linear", "linear_L2", "linear_Linf", "mean", "prototypes"]
    assert list(params.classifiers) == simple
    assert (params.classifiers["linear_L2"].epsilon, params.classifiers["linear_Linf"].epsilon) == (
        params.epsilon.L2, params.epsilon.Linf,
    )  # fmt: skip
    assert params.measured == ["1NN", *simple, "S", "E_S", "T_R", "T_B", "T_B_A", "T_L2"]


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "profiles").glob("*.yaml"))])
def test_in_every_profile_simple_classifiers_are_trained_and_chosen_at_the_epsilon_of_their_norm(name):
    params = params_of(name)
    for classifier, options in params.classifiers.items():
        if hasattr(options, "epsilon") and classifier != "linear":
            assert options.epsilon == getattr(params.epsilon, options.norm), classifier


def test_without_simple_classifiers_1nn_and_the_variants_are_measured(tmp_path):
    params = read_params(
        written(tmp_path, lambda c: c.update(classifiers={}, growth=c["growth"] | {"classifiers": []}))
    )
    assert params.measured == ["1NN", *params.variants]


def test_a_number_that_pyyaml_takes_for_text_is_a_number(tmp_path):
    path = written(tmp_path, lambda c: c["variants"]["S"].update(weight_decay="5e-4"))
    assert read_params(path).variants["S"].weight_decay == 5e-4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c["variants"]["T_R"]["trades"].update(betta=6), r"params\.yaml: variants\.T_R\.trades\.betta: unknown key; did you mean beta\?"),
        (lambda c: c["attack"]["attacks"][0].update(name="apgd"), r"attack\.attacks\.0\.name: expected 'apgd-ce', 'apgd-margin'.*got 'apgd'"),
        (lambda c: c["attack"]["attacks"].append(c["attack"]["attacks"][0]), r"attack\.attacks: expected each attack once, as results go by name, got apgd-ce"),
        (lambda c: c["validation"].pop("steps"), r"params\.yaml: validation\.steps: expected this key, got none; add it"),
        (lambda c: c["validation"].update(steps="forty"), r"validation\.steps: expected a valid integer, got 'forty' \(str\)"),
        (lambda c: c["validation"].update(steps=1.5), r"validation\.steps: expected a valid integer, got 1\.5 \(float\)"),
        (lambda c: c["validation"].update(steps=True), r"validation\.steps: expected a valid integer, got True \(bool\)"),
        (lambda c: c["epsilon"].update(Linf=8), r"epsilon\.Linf: expected at most 1, as pixels are in \[0, 1\].*got 8; write 8/255"),
        (lambda c: c["epsilon"].update(L2=20), r"epsilon\.L2: expected at most 8, .*got 20; write 20/255"),
        (lambda c: (c["data"].update(source="image_folder"), c["epsilon"].update(L2=255)), r"epsilon\.L2: expected at most 1773\.62 times epsilon\.Linf, got 255"),
        (lambda c: c["search"]["space"].update(epsilon=[8, 9]), r"search\.space\.epsilon: expected at most 1, .*got 8"),
        (lambda c: c["search"]["space"].update(beta=[3.0, 3.0]), r"search: space\.beta: expected each value once, got 3\.0 again"),
        (lambda c: c["search"]["space"].update({key: [0.001 * i for i in range(1, 400)] for key in ("beta", "learning_rate", "weight_decay")}), r"search: space: expected at most 100,000 combinations, got 127,042,398"),
        (lambda c: c["variants"]["T_R"]["trades"]["perturbations"][0].update(step_size=1.0), r"variants\.T_R\.trades\.perturbations\.0\.step_size: expected at most 0\.15.*, twice epsilon"),
        (lambda c: c["variants"]["T_R"]["trades"]["perturbations"][0].update(epsilon=20), r"variants\.T_R\.trades\.perturbations\.0\.epsilon: expected at most 1, .*got 20"),
        (lambda c: c["variants"]["S"].update(milestones=[3, 1]), r"variants\.S\.milestones: expected ascending numbers, each once, got \[3, 1\]"),
        (lambda c: c["variants"]["S"].update(learning_rate=1e30), r"variants\.S\.learning_rate: expected at most 1000, got 1e\+30"),
        (lambda c: c["variants"].update(s=c["variants"]["S"]), r"variants, in capitals or not: expected each value once, got 's' again"),
        (lambda c: c["variants"].update(zoo=c["variants"]["S"]), r"variants: expected names of letters.*got 'zoo'"),
        (lambda c: c["variants"].update({"1NN_all_classes": c["variants"]["S"]}), r"variants: expected names of letters.*got '1NN_all_classes'.*no _all_classes last"),
        (lambda c: c["variants"].update({"V" * 300: c["variants"]["S"]}), r"variants: expected names of letters.*at most 40"),
        (lambda c: c["variants"].update({"\u00dcn\u00ef": c["variants"]["S"]}), r"variants: expected names of letters"),
        (lambda c: c["data"].update(pairs=[]), r"data\.pairs: expected all, or at least one pair of class names, got \[\]"),
        (lambda c: c["data"].update(pairs=[["3", "3"]]), r"data\.pairs: expected two different classes, got \['3', '3'\]"),
        (lambda c: c["data"].update(pairs=[["3", "5"], ["5", "3"]]), r"data\.pairs: expected each value once, got \['3', '5'\] again"),
        (lambda c: c["data"].update(pairs=[["3", "99"]]), r"data\.pairs: expected classes of digits, 0, .*got '99'"),
        (lambda c: c["data"].update(name="=1+1"), r"data\.name: expected letters, digits.*got '=1\+1'"),
        (lambda c: c["data"].update(name=""), r"data\.name: expected 1 to 100 characters"),
        (lambda c: c["data"].update(path=" "), r"data\.path: expected 1 to 1,000 characters"),
        (lambda c: c["data"].update(sha256="0" * 64), r"data\.sha256: expected null, as it is for the archive of an image_folder, got one for digits"),
        (lambda c: c["data"].update(n_train_per_class=10**20), r"data\.n_train_per_class: expected less than or equal to 100000000, got 10{20}"),
        (lambda c: c["bounds"].update(models=["mine"]), r"bounds\.models: expected names of models, which are none, got 'mine'"),
        (lambda c: c["variants"]["S"].update(architecture="mnist_cnn"), r"bounds\.variants: expected variants of cnn_a or small_cnn, .*got S, of mnist_cnn"),
        (lambda c: c["bounds"].update(models="mine"), r"bounds\.models: expected a list"),
        (lambda c: c["growth"].update(classifiers=["svm"]), r"growth\.classifiers: expected names of classifiers, which are .*linear_L2.*, got 'svm'"),
        (lambda c: c["imported"].update(S="results/x/records"), r"imported: expected names that no variant has, as records go by name, got 'S'"),
        (lambda c: c["imported"].update(T="../records"), r"imported\.T: expected a folder in the repository, .*got '\.\./records'"),
        (lambda c: c["imported"].update(T="/tmp/records"), r"imported\.T: expected a folder in the repository"),
        (lambda c: c["growth"].update(seeds=[0, 0]), r"growth\.seeds: seeds: expected each value once, got 0 again"),
        (lambda c: c["attack"]["strength"].update(steps=[5, 2]), r"attack\.strength: steps: expected ascending numbers"),
        (lambda c: c["attack"]["strength"].update(attacks=["apgd-ce", "apgd-ce"]), r"attack\.strength\.attacks: attacks: expected each value once, got 'apgd-ce' again"),
        (lambda c: c["attack"]["attacks"][0].update(name="apgd-dlr"), r"attack\.attacks: expected attacks for the two classes of a pair, got apgd-dlr; write apgd-margin"),
        (lambda c: c["examples"]["classifiers"].update(T_R="models/trained/S.safetensors"), r"examples\.classifiers\.T_R: expected models/trained/T_R\.safetensors, which it depends on, got 'models/trained/S"),
        (lambda c: c["examples"]["classifiers"].update({"1NN": "../../etc"}), r"examples\.classifiers\.1NN: expected data/prepared"),
        (lambda c: c["examples"].update(problem=["3", "3"]), r"examples\.problem: expected two different classes"),
        (lambda c: c["examples"].update(problem=["3", "77"]), r"examples\.problem: expected classes of digits.*got '77'"),
        (lambda c: c["data"].update(pairs=[["0", "1"]]), r"examples\.problem: expected one of data\.pairs, on which variants are trained, got \['3', '5'\]"),
        (lambda c: c["validation"].update(steps=0), r"validation\.steps: expected greater than or equal to 1, got 0 \(int\)"),
        (lambda c: c["epsilon"].update(Linf="-8/255"), r"epsilon\.Linf: expected a number or a text like"),
        (lambda c: c["epsilon"].update(L2=0), r"epsilon\.L2: expected greater than 0, got 0"),
        (lambda c: c["data"].update(test_fraction=1.0), r"data\.test_fraction: expected less than 1, got 1\.0"),
        (lambda c: c["data"].update(source="svhn"), r"data\.source: expected 'digits', 'cifar10', 'mnist', 'fashion_mnist' or 'image_folder', got 'svhn'"),
        (lambda c: c["data"].update(pairs=[["3"]]), r"data\.pairs.*expected"),
        (lambda c: c["search"].update(n_settings=5), r"search: space has 8 combinations, but n_settings says 5"),
        (lambda c: c["search"].update(variants=["T_X"]), r"search\.variants: expected one of .*'T_B'.*, got 'T_X'"),
        (lambda c: c["search"].update(variants=["S"]), r"search\.variants: expected a variant with a trades block of one perturbation, got 'S'"),
        (lambda c: c["search"].update(variants=["T_B_A"]), r"search\.variants: expected a variant with a trades block of one perturbation, got 'T_B_A'"),
        (lambda c: c["search"].update(variants=[]), r"search\.variants: expected one of the variants in a list, or \[\] where there are no variants, got \[\]"),
        (lambda c: c["search"].update(n_trials=9), r"search: n_trials: expected at most the 8 settings of the space, got 9"),
        (lambda c: c["search"].update(min_epochs=9), r"search: expected min_epochs <= max_epochs, got 9 > 6"),
        (lambda c: c["compute"].update(engine="dask"), r"compute\.engine: expected 'local', 'processes' or 'ray', got 'dask'"),
        (lambda c: c["variants"]["S"].update(width=16), r"variants\.S: width: expected null, as its width is fixed, with architecture small_cnn, got 16"),
        (lambda c: c["variants"]["S"].update(architecture="resnet18"), r"variants\.S: width: expected a number of channels with architecture resnet18, got None"),
        (lambda c: c["variants"]["S"].update(schedule="one_cycle"), r"variants\.S: expected milestones \[\] and decay 1 with schedule one_cycle, got \[18, 19\] and 0\.1"),
        (lambda c: c["variants"]["S"].update(checkpoint="first"), r"variants\.S\.checkpoint: expected 'best' or 'last', got 'first'"),
        (lambda c: c["variants"].update({"a-b": c["variants"]["S"]}), r"variants: expected names of letters, digits and _"),
        (lambda c: c["zoo"].update(models=["Standard", "Standard"]), r"zoo: models: expected each model once, got Standard again"),
        (lambda c: c["zoo"].update(models=["Standart"]), r"zoo: models: expected RobustBench's names, got 'Standart'; did you mean Standard\?"),
        (lambda c: c["zoo"].update(models=["x"]), r"got 'x'; the names are in nnrobust/zoo/robustbench_cifar10_linf69\.csv and nnrobust/zoo/robustbench_cifar10_linf_newer\.csv"),
        (lambda c: c["zoo"].update(models="published"), r"zoo\.models: expected a list of names, got the word 'published'; write it in a profile, `published` or `newer`"),
        (lambda c: c["claims"].update(margin=0), r"claims\.margin: expected greater than 0, got 0"),
        (lambda c: c["claims"].update(confidence=95), r"claims\.confidence: expected less than 1, got 95"),
        (lambda c: c["examples"]["classifiers"].update(T_X="models/trained/T_X.safetensors"), r"params\.yaml: examples\.classifiers: expected 1NN, variants or zoo\.models, got 'T_X'"),
        (lambda c: c["examples"]["classifiers"].update(Standard="models/zoo/Standard"), r"examples\.classifiers: expected 1NN, variants or zoo\.models, got 'Standard'"),
        (lambda c: c["examples"].update(problem="all"), r"examples\.problem: expected two class names for the variant T_R, got all"),
        (lambda c: (c["zoo"].update(models=["Standard"]), c["examples"].update(classifiers={"Standard": "models/zoo/Standard"})), r"examples\.problem: expected all for the zoo model Standard, got \['3', '5'\]"),
        (lambda c: c["examples"].update(problem=["3"]), r"examples\.problem.*: expected .*at least 2 items"),
        (lambda c: c["examples"].update(problem="3-5"), r"examples\.problem.*: expected 'all', got '3-5'"),
        (lambda c: c["examples"].update(classifiers={}), r"examples\.classifiers: expected .*at least 1 item"),
        (lambda c: c["classifiers"]["linear"].update(alpha=0), r"params\.yaml: classifiers\.linear\.alpha: expected greater than 0, got 0"),
        (lambda c: c["classifiers"]["linear"].update(epsilon="-1"), r"classifiers\.linear\.epsilon: expected a number or a text like"),
        (lambda c: c["classifiers"]["linear_L2"].update(alfa=1), r"params\.yaml: classifiers\.linear_L2\.alfa: unknown key; did you mean alpha\?"),
        (lambda c: c["classifiers"]["mean"].update(norm="L2"), r"classifiers\.mean\.norm: unknown key; known here: kind"),
        (lambda c: c["classifiers"]["prototypes"].pop("seed"), r"params\.yaml: classifiers\.prototypes\.seed: expected this key, got none; add it"),
        (lambda c: c["classifiers"]["prototypes"].update(counts=[]), r"classifiers\.prototypes\.counts: expected .*at least 1 item"),
        (lambda c: c["classifiers"]["mean"].update(kind="means"), r"classifiers\.mean\.kind: expected one of linear, mean, prototypes, metric, got 'means'"),
        (lambda c: c["classifiers"].update(svm={"norm": "L2"}), r"classifiers\.svm\.kind: expected one of linear, mean, prototypes, metric, got None"),
        (lambda c: c["classifiers"].update(svm=3), r"classifiers\.svm: expected .*got 3"),
        (lambda c: c["classifiers"].update({"1NN": c["classifiers"]["mean"]}), r"classifiers: expected names of letters, digits and _, not 1NN, got '1NN'"),
        (lambda c: c["classifiers"].update(S=c["classifiers"]["mean"]), r"classifiers: expected names that no variant has, as records go by name, got 'S'"),
        (lambda c: c["variants"]["S"].update(learning_rate=float("nan")), r"variants\.S\.learning_rate: expected .*finite"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_with_what_was_expected_and_got(tmp_path, change, expected):
    with pytest.raises(ParamError, match=expected):
        read_params(written(tmp_path, change))


def test_what_params_refuse_of_attacks_is_what_needs_more_than_two_classes():
    assert set(SEVERAL_CLASSES) == {name for name, kind in KINDS.items() if kind.n_classes > 2}


def test_examples_of_all_classes_are_of_1nn_and_the_zoo(tmp_path):
    chosen = {"1NN": "data/prepared", "Standard": "models/zoo/Standard"}
    path = written(
        tmp_path,
        lambda c: (c["zoo"].update(models=["Standard"]), c["examples"].update(problem="all", classifiers=chosen)),
    )
    assert read_params(path).examples.classifiers == chosen


def test_every_wrong_key_gets_its_line(tmp_path):
    path = written(tmp_path, lambda c: (c["validation"].update(steps=0), c["plot"].update(dpi=3)))
    with pytest.raises(ParamError) as caught:
        read_params(path)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "expected"), [("a: [", "expected YAML"), ("- 1", "expected blocks of keys"), (None, "found none")]
)
def test_a_file_that_is_no_parameters_file_is_refused(tmp_path, text, expected):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ParamError, match=expected):
        read_params(path)


def with_network(content, **changes):
    content["data"]["source"] = "mnist"
    content["variants"], content["search"]["variants"], content["examples"]["classifiers"] = (
        {},
        [],
        {"1NN": "data/prepared"},
    )
    content["bounds"]["variants"] = []
    content["models"] = {"kw_mnist": networks("mnist")["kw_mnist"] | {"allowance": 0.05, "problems": "both"} | changes}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mean": [0.0, 0.0]}, r"models\.kw_mnist\.mean: expected 1 numbers, one a channel of shape, got 2"),
        ({"std": [0.0]}, r"models\.kw_mnist\.std\.0: expected greater than 0, got 0\.0"),
        ({"classes": ["0", "1"]}, r"models\.kw_mnist\.classes: expected those of mnist, 0, 1, .*got 0, 1;"),
        ({"problems": "three"}, r"models\.kw_mnist\.problems: expected 'all_classes', 'pairs' or 'both', got 'three'"),
        ({"allowance": 5}, r"models\.kw_mnist\.allowance: expected less than or equal to 1, got 5"),
        ({"stdd": [1.0]}, r"models\.kw_mnist\.stdd: unknown key; did you mean std\?"),
    ],
)
def test_a_wrong_block_of_a_network_is_refused_with_its_key(tmp_path, changes, expected):
    with pytest.raises(ParamError, match=expected):
        read_params(written(tmp_path, lambda content: with_network(content, **changes)))


def test_attacks_that_need_more_than_two_classes_are_refused_where_a_network_is_measured_on_pairs(tmp_path):
    def change(content, **changes):
        with_network(content, **changes)
        content["attack"]["attacks"] = [{"name": "apgd-dlr", "steps": 1, "restarts": 1}]

    assert read_params(written(tmp_path, lambda c: change(c, problems="all_classes"))).pretrained == {
        "kw_mnist": "all_classes"
    }
    with pytest.raises(
        ParamError, match=r"attack\.attacks: expected attacks for the two classes of a pair, got apgd-dlr"
    ):
        read_params(written(tmp_path, change))
