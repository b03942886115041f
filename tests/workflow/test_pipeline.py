"""The contracts of the workflow: wiring, imports, params, and a whole run of the profile `smoke`."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import grimp
import pandas as pd
import pytest
import yaml

from made.project import ROOT, copy_project, dvc, environment, profile, write_profile, write_report
from nnrobust.claims.controls import CONTROL_CLAIMS
from nnrobust.claims.paper import CLAIMS, TIMED
from nnrobust.config.params import read_params
from nnrobust.config.profiles import compose

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
GRAPH = grimp.build_graph("nnrobust", exclude_type_checking_imports=True, cache_dir=None)
LIBRARY = {
    module: ROOT / f"{module.replace('.', '/')}.py" for module in GRAPH.modules if not GRAPH.find_children(module)
}


def pipeline():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def imports_of(path):
    """Library modules that a script imports, at any depth, and those that they import."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nnrobust":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module} if node.module in LIBRARY else names & set(LIBRARY)
    return found.union(*(GRAPH.find_upstream_modules(module) for module in found)) & set(LIBRARY)


def code_of(module):
    """What a stage depends on that imports a module: its package, or the file itself where it lies in none."""
    _, name, *rest = module.split(".")
    return f"nnrobust/{name}" if rest else f"nnrobust/{name}.py"


def paths_of(entries):
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def test_every_stage_runs_the_script_of_its_name_and_no_name_from_params_is_in_a_command():
    assert sorted(pipeline()) == STAGES
    for name, stage in pipeline().items():
        assert stage["cmd"] == f"exec python -m nnrobust.runtime $PPID stages/{name}.py"


@pytest.mark.parametrize("name", STAGES)
def test_the_deps_of_a_stage_are_its_script_and_the_packages_that_it_imports_from_but_config(name):
    code = {dep for dep in pipeline()[name]["deps"] if dep.startswith(("stages/", "nnrobust/"))}
    modules = imports_of(ROOT / "stages" / f"{name}.py")
    assert code == {f"stages/{name}.py", *map(code_of, modules)} - {"nnrobust/config"}


def test_no_module_imports_a_stage():
    for path in [*(ROOT / "stages").glob("*.py"), *LIBRARY.values()]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.split(".")[0] in {"stages", *STAGES} for name in names), path


def test_no_module_imports_itself_in_a_circle():
    for module in GRAPH.modules:
        for imported in GRAPH.find_modules_directly_imported_by(module):
            assert module not in GRAPH.find_upstream_modules(imported), (
                f"{module} imports {imported}, which leads back to it"
            )


def test_a_proof_is_checked_by_three_modules_without_a_solver():
    upstream = GRAPH.find_upstream_modules("nnrobust.nearest.proofs.checker")
    assert upstream == {"nnrobust.threat", "nnrobust.nearest.proofs.halfspace", "nnrobust.nearest.proofs.rigorous"}


def test_params_are_read_without_numpy_and_torch():
    """So `nnrobust.config` only turns text into values, which dvc.yaml tracks by themselves."""
    code = "import sys, nnrobust.config.params; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_library_prints_nothing_and_sets_no_global_seed():
    for module, path in LIBRARY.items():
        text = path.read_text()
        printing = {"cli", "runtime.process", "runtime.progress"}
        if module.removeprefix("nnrobust.") not in printing:
            assert not re.search(r"^\s*print\(", text, re.MULTILINE), module
        assert "np.random.seed(" not in text
        if module not in {"nnrobust.training.tasks", "nnrobust.training.validation", "nnrobust.attacks.victim"}:
            assert "manual_seed(" not in text


def test_every_key_of_params_is_used():
    """Each field of the typed parameters is read somewhere in the stages or the library, by attribute."""
    from nnrobust.config import blocks as module
    from nnrobust.config import classifiers

    text = "".join(path.read_text() for path in [*(ROOT / "stages").glob("*.py"), *LIBRARY.values()])
    values = [*vars(module).values(), *vars(classifiers).values()]
    blocks = [value for value in values if isinstance(value, type) and issubclass(value, module.Block)]
    fields = {name for block in blocks for name in block.model_fields}
    assert {name for name in fields if not re.search(rf"\.{name}\b", text)} == set()


def each_of(paths):
    """The paths of a stage; that it is one for each name of a list, or of a block, makes no difference."""
    return [path.replace("${item}", "${key}") for path in paths_of(paths)]


def test_every_output_is_written_by_its_script_and_every_input_is_some_output():
    outs = {}
    for name, stage in pipeline().items():
        for path in each_of(stage.get("outs", []) + stage.get("metrics", [])):
            # `fit` and `attack` write files by name, and params refuse a name that a classifier and a variant have.
            assert path not in outs or "${key}" in path
            outs[path] = name
    for name, stage in pipeline().items():
        for dep in each_of(stage["deps"]):
            if dep.startswith(("stages/", "nnrobust/")) or dep in {"${data.path}", "${key}"}:
                continue
            made = [out for out in outs if out == dep or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")]
            assert made, f"{name} depends on {dep}, which no stage writes"


def test_every_stage_has_params_or_data_to_depend_on():
    assert all(stage["deps"] for stage in pipeline().values())


def test_the_default_is_the_embedded_profile():
    assert (ROOT / "params.yaml").read_text() == compose(ROOT / "profiles" / "embedded.yaml")


def stages_run(output):
    return re.findall(r"Running stage '(.+?)'", output)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A copy of the project in the profile `smoke`, run from nothing by DVC."""
    folder = empty_workspace(tmp_path_factory.mktemp("first"))
    assert sorted(stages_run(dvc(folder, "repro"))) == sorted(stages_of(folder))
    return folder


def empty_workspace(folder):
    """One that has not run."""
    copy_project(folder)
    write_profile("smoke", folder)
    # Some runs are forks of a process whose libraries are loaded already: with the kernels of this processor.
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("reproducible: true", "reproducible: false"))
    return folder


def stages_of(folder):
    """The names of all stages, each behind those that it needs."""
    return dvc(folder, "stage", "list", "--name-only").split()


def run_in_forks(folder, n_kills, *stages):
    """Runs stages, each after being killed so often; what `made/kills.py` says of it."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "made" / "kills.py", str(n_kills), "0", *stages],
        cwd=folder, env=environment() | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    log = (folder / "kills.log").read_text()
    assert done.returncode == 0, done.stderr + log
    assert "Traceback" not in log
    return json.loads(done.stdout.splitlines()[-1])


def deterministic_files(folder):
    """By name, all files of all outputs of all stages."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    outs = [folder / out["path"] for stage in lock.values() for out in stage["outs"]]
    files = [path for out in outs for path in ([out] if out.is_file() else out.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_two_runs_from_nothing_end_with_the_same_bytes_in_every_output(workspace, tmp_path):
    """So `dvc.lock`, which has the hash of each, is the same wherever the workflow runs."""
    again = empty_workspace(tmp_path)
    stages = [stage.replace("@", " ") for stage in stages_of(again)]
    assert run_in_forks(again, 0, *stages) == {"kills": 0, "failed": []}
    shutil.copy(workspace / "dvc.lock", again)
    one, other = deterministic_files(workspace), deterministic_files(again)
    assert len(one) >= 100
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.slow
def test_a_second_repro_runs_nothing_and_the_status_is_clean(workspace):
    assert stages_run(dvc(workspace, "repro")) == []
    assert "up to date" in dvc(workspace, "status")


@pytest.mark.slow
def test_the_outputs_have_what_their_names_promise(workspace):
    params = read_params(workspace / "params.yaml")
    table = pd.read_csv(workspace / "metrics" / "pairs.csv")
    assert set(table["classifier"]) == set(params.measured)
    assert set(table["pair"]) == {"3-5", "3-8", "5-8", "all"}
    networks = table[table["kind"] == "attacked"]
    assert len(networks) == (6 * 3 + 4) * 2 * 2 * 3  # one network of all classes is attacked on these and on each pair
    assert set(networks["method"]) == {"apgd-ce", "apgd-ce + apgd-margin", "apgd-ce + apgd-margin + fmn"}
    by_attacks = networks.pivot(index=["classifier", "pair", "split", "norm"], columns="method", values="n_robust")
    assert (by_attacks["apgd-ce"] >= by_attacks["apgd-ce + apgd-margin + fmn"]).all()
    n = networks[networks["split"] == "test"].groupby(networks["pair"] == "all")["n"].unique()
    assert n.map(list).to_dict() == {False: [20], True: [100]}
    summary = json.loads((workspace / "metrics" / "summary.json").read_text())
    simple = ["linear_L2", "mean"]
    assert list(params.classifiers) == simple
    whole = [f"{name}_all_classes" for name in ("1NN", *simple)]
    networks = ["S", "E_S", "T_R", "T_B", "T_B_A", "T_L2", "T_R_10", "T_R_10_all_classes"]
    assert sorted(summary) == sorted(["1NN", *simple, *whole, *networks, "near_duplicates"])
    assert all(summary[name]["n_fits"] == summary[name]["n_fits_converged"] == 4 for name in simple)
    assert all(summary[name]["n_open_records"] == 0 for name in simple)
    assert summary["near_duplicates"]["n_test_images"] == 100
    without = pd.read_csv(workspace / "metrics" / "duplicates.csv")
    assert set(without["classifier"]) == set(params.measured)
    proven = table[table["classifier"].isin(simple)]
    assert set(proven["method"]) == {"exact", "exact in box"}
    assert set(pd.read_csv(workspace / "metrics" / "fits.csv")["classifier"]) == set(simple)
    for name in (*(f"figure_{number}" for number in range(1, 8)), "curve_epsilon", "class_distances"):
        assert (workspace / "plots" / "images" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (workspace / "plots" / "pdf" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    distances = pd.read_csv(workspace / "data" / "prepared" / "class_distances.csv")
    assert len(distances) == 45
    claims = json.loads((workspace / "metrics" / "claims.json").read_text())
    assert [claim["id"] for claim in claims] == [claim.id for claim in CLAIMS if claim.id not in TIMED]
    assert {claim["setting"] for claim in claims} == {
        "a transfer to other data than the paper's (profile smoke, digits)"
    }
    assert {claim["verdict"] for claim in claims if claim["id"].startswith("zoo_")} == {"not run"}
    controls = json.loads((workspace / "metrics" / "controls.json").read_text())
    assert [control["id"] for control in controls] == [control.id for control in CONTROL_CLAIMS]
    assert {control["verdict"] for control in controls} <= {"fails", "cannot tell"}  # most were not run


@pytest.mark.slow
def test_the_report_has_all_of_it_and_the_times_of_this_machine(workspace):
    written = write_report(workspace)
    assert written.returncode == 0, written.stderr
    report = (workspace / "report" / "index.html").read_text()
    assert 'id="controls"' in report
    assert len(report) < 5_000_000
    assert report.count('src="data:image/svg+xml') == 2 * len(list((workspace / "plots" / "images").iterdir()))
    assert all(f'id="claim-{claim.id}"' in report for claim in CLAIMS)
    (times,) = re.findall(r'<section class="table" id="table_1">.*?</section>', report, re.DOTALL)
    params = read_params(workspace / "params.yaml")
    assert all(f"<td>{name}</td>" in times for name in params.made)
    assert "training of a pair" in times
    seconds = json.loads((workspace / ".work" / "stages" / "train T_R.json").read_text())["training_seconds"]
    assert len(seconds) == 3
    assert min(seconds) > 0
    assert "up to date" in dvc(workspace, "status")


@pytest.mark.slow
def test_a_report_of_outputs_of_other_params_is_refused(workspace):
    path = workspace / "params.yaml"
    original = path.read_text()
    before = (workspace / "report" / "index.html").read_bytes() if (workspace / "report").exists() else None
    path.write_text(original.replace("dots_per_inch: ", "dots_per_inch: 1"))
    try:
        refused = write_report(workspace)
    finally:
        path.write_text(original)
    assert refused.returncode == 1
    assert "expected outputs of this code and these params, got changes; run `dvc repro` first" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert before == ((workspace / "report" / "index.html").read_bytes() if (workspace / "report").exists() else None)


@pytest.mark.slow
def test_a_report_where_dvc_cannot_read_its_pipeline_says_what_dvc_says(tmp_path):
    copy_project(tmp_path)
    write_profile("smoke", tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: [")
    refused = write_report(tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "RecordError: expected `dvc status --with-deps plot` to say what has changed, got: "
    )
    assert "dvc.yaml" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_a_changed_beta_reruns_its_variant_and_what_follows_only(workspace):
    path = workspace / "params.yaml"
    original = path.read_text()
    head, tail = original.split("\n  T_R:")
    path.write_text(f"{head}\n  T_R:{tail.replace('beta: 6.0 ', 'beta: 2.0 ', 1)}")
    ran = stages_run(dvc(workspace, "repro"))
    assert sorted(ran) == sorted(
        ["train@T_R", "attack@T_R", "bound_variant@T_R", "examples@1NN", "examples@T_R", "summarize", "judge", "plot"]
    )
    path.write_text(original)
    # All comes back from DVC's run-cache but the metrics and figures, which live in git.
    assert stages_run(dvc(workspace, "repro")) == ["summarize", "judge", "plot"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_killed_dvc_takes_its_stage_with_it(workspace, shell):
    def running():
        """The stage, the process that it is forked from, and the fork."""
        return [
            pid
            for pid in os.listdir("/proc")
            if pid.isdigit() and re.search(rb"stages/search.py|runtime.warm", cmdline(pid))
        ]

    def cmdline(pid):
        try:
            same_folder = os.readlink(f"/proc/{pid}/cwd") == str(workspace)
            return Path(f"/proc/{pid}/cmdline").read_bytes() if same_folder else b""
        except OSError:
            return b""

    def wait_until(condition):
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)
        held = condition()
        if not held:
            for pid in running():
                os.kill(int(pid), signal.SIGKILL)
        assert held

    params = workspace / "params.yaml"
    original = params.read_text()
    endless = original.replace("  min_epochs: 2 ", "  min_epochs: 1000000 ").replace(
        "  max_epochs: 4 ", "  max_epochs: 1000000 "
    )
    endless = re.sub(r"epochs: \[4\]", "epochs: [1000000]", endless)
    assert endless != original
    params.write_text(endless)
    command = ["dvc", "repro", "--single-item", "search@T_B"]
    with subprocess.Popen(
        command, cwd=workspace, env=environment() | {"SHELL": shell}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: len(running()) == 3)
        finally:
            process.kill()
    try:
        wait_until(lambda: not running())
    finally:
        params.write_text(original)
    assert not [path for path in workspace.rglob(".search*") if path.suffix in {".json", ".csv"}]
    # What a search found lives in git, so DVC has no copy of it; its trials are in the journal, and nothing is trained again.
    assert stages_run(dvc(workspace, "repro")) == ["search@T_B"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks after its imports")
def test_stages_killed_at_32_moments_end_with_the_same_bytes_and_leave_nothing_else(workspace, tmp_path):
    """Every stage twice, and then whole, from work stores that are empty at first."""
    folder = shutil.copytree(workspace, tmp_path / "killed", symlinks=True)
    names = {str(path.relative_to(folder)) for path in files_of(folder)}
    for path in [*folder.glob(".work/*.pt"), folder / ".work" / "search.journal"]:
        path.unlink()
    assert run_in_forks(folder, 2) == {"kills": 32, "failed": []}
    assert {str(path.relative_to(folder)) for path in files_of(folder)} == names
    one, other = deterministic_files(workspace), deterministic_files(folder)
    assert [name for name in one if one[name] != other[name]] == []


def files_of(folder):
    """Whatever stages have left beside saved work."""
    return [path for top in ("data", "models", "metrics", "plots", "report", ".work") for path in (folder / top).rglob("*")
            if path.is_file() and path.suffix != ".pt"]  # fmt: skip


@pytest.mark.slow
def test_training_killed_at_any_moment_ends_with_the_same_weights(workspace, tmp_path):
    """SIGKILL of the stage while epochs are being saved, several times; then the weights of the run that was not disturbed."""
    made = workspace / "models" / "trained" / "T_B_A.safetensors"
    expected = made.read_bytes()
    shutil.rmtree(workspace / ".work")
    command = [sys.executable, "stages/train.py", "T_B_A"]
    for n_files in (1, 2, 3):
        made.unlink(missing_ok=True)
        stage = subprocess.Popen(command, cwd=workspace, env=environment(), stderr=subprocess.DEVNULL)
        while stage.poll() is None and len(list(workspace.glob(".work/*.pt"))) < n_files:
            time.sleep(0.005)
        stage.send_signal(signal.SIGKILL)
        stage.wait()
    subprocess.run(command, cwd=workspace, env=environment(), check=True, capture_output=True)
    assert made.read_bytes() == expected


@pytest.mark.slow
def test_a_changed_machine_reruns_nothing(workspace):
    path = workspace / "params.yaml"
    original = path.read_text()
    changed = original.replace("  group_size: 12 ", "  group_size: 2 ")
    assert changed != original
    path.write_text(changed)
    assert stages_run(dvc(workspace, "repro")) == []
    path.write_text(original)


@pytest.mark.slow
def test_a_new_key_of_one_block_changes_the_stages_that_read_that_block_alone(workspace):
    changes = {"nnrobust/config/blocks.py": ("    dots_per_inch:", "    color: str\n    dots_per_inch:"),
               "params.yaml": ("  dots_per_inch:", "  color: blue\n  dots_per_inch:")}  # fmt: skip
    for path, (old, new) in changes.items():
        text = (workspace / path).read_text()
        assert old in text
        (workspace / path).write_text(text.replace(old, new))
    try:
        read_params = "from nnrobust.config.params import read_params; print(read_params('params.yaml').plot.color)"
        done = subprocess.run(
            [sys.executable, "-c", read_params], cwd=workspace, capture_output=True, text=True, check=True
        )
        assert done.stdout == "blue\n"
        assert re.findall(r"^(\w+(?:@\w+)?):$", dvc(workspace, "status"), re.MULTILINE) == ["plot"]
    finally:
        for path, (old, new) in changes.items():
            text = (workspace / path).read_text()
            (workspace / path).write_text(text.replace(new, old))


@pytest.mark.slow
def test_the_plots_page_needs_no_network(workspace):
    dvc(workspace, "plots", "show")
    page = (workspace / "dvc_plots" / "index.html").read_text()
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page)
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    assert page.count("vegaEmbed(") == sum(isinstance(plot, dict) for plot in plots)
    assert len(re.findall(r"<img\s+src=.static/", page)) == len(list((workspace / "plots" / "images").iterdir()))


@pytest.mark.slow
def test_a_wrong_key_stops_a_stage_with_one_line_and_leaves_its_output(workspace):
    path = workspace / "params.yaml"
    original = path.read_text()
    before = (workspace / "metrics" / "summary.json").read_bytes()
    path.write_text(original.replace("summary:\n  confidence: 0.95", "summary:\n  confidence: 95"))
    done = subprocess.run(
        [sys.executable, "stages/summarize.py"], cwd=workspace, capture_output=True, text=True, check=False
    )
    path.write_text(original)
    assert done.returncode == 1
    assert done.stderr == "ParamError: params.yaml: summary.confidence: expected less than 1, got 95 (int)\n"
    assert (workspace / "metrics" / "summary.json").read_bytes() == before


@pytest.mark.slow
def test_a_name_in_params_is_never_run_by_a_shell(tmp_path):
    copy_project(tmp_path)
    params = profile("smoke")
    params["zoo"]["models"] = ["x$(touch f)", "y;touch f"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    command = ["dvc", "repro", "--keep-going", "fetch"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ParamError: params.yaml: zoo: models: expected RobustBench's names, got 'x$(touch f)'" in done.stderr
    assert not (tmp_path / "f").exists()


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of what is committed, in which nothing was run."""
    folder = tmp_path_factory.mktemp("clone") / "nnrobust"
    done = subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no git repository to clone: {done.stderr}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["metrics", "show"],
        ["metrics", "diff"],
        ["params", "diff"],
        ["plots", "show"],
        ["plots", "diff"],
        ["exp", "show"],
    ],
    ids=" ".join,
)
def test_a_fresh_clone_shows_its_numbers_without_a_warning(clone, command):
    done = subprocess.run(["dvc", *command], cwd=clone, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"warning|fail|error", done.stderr, re.IGNORECASE), done.stderr


@pytest.mark.slow
def test_a_fresh_clone_gives_its_params_to_programs(clone):
    code = "import dvc.api; print(dvc.api.params_show()['profile'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=False)
    assert done.stdout == "embedded\n", done.stderr
