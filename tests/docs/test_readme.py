"""What the README shows works as it stands."""

import re

import numpy as np
import torch
from torch import nn

from made.project import ROOT


def test_the_example_of_evaluate_runs_as_it_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    estimator, example = (next(block for block in blocks if word in block) for word in ("robust_radius", "evaluate("))
    generator = np.random.default_rng(0)
    y = np.arange(30) % 2
    x = np.clip(0.3 + 0.4 * y[:, None, None, None] + 0.2 * generator.standard_normal((30, 3, 4, 4)), 0, 1)
    torch.manual_seed(0)
    names = {"X_train": x[:20], "y_train": y[:20], "X_test": x[20:], "y_test": y[20:]}
    names["network"] = nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).eval()
    exec(estimator, names)
    exec(example, names)
    assert capsys.readouterr().out.split()[:4] == ["classifier", "n", "kind", "clean"]
    assert names["result"].to_frame()["classifier"].unique().tolist() == ["mine", "1NN"]
