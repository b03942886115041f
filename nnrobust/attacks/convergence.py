"""Convergence of attacks: robust accuracy on a few images under more steps and more restarts."""

from collections.abc import Sequence

import pandas as pd

from nnrobust.attacks.batches import Source, attack_in_blocks
from nnrobust.attacks.verdicts import AttackInputs
from nnrobust.attacks.victim import AttackSpec
from nnrobust.runtime.machine import Machine
from nnrobust.runtime.progress import Progress, silent
from nnrobust.threat import ThreatModel

COLUMNS = ["norm", "epsilon", "attack", "steps", "restarts", "n", "robust_accuracy"]


def ladder(names: Sequence[str], steps: Sequence[int], restarts: int, seed: int) -> list[AttackSpec]:
    """Each attack with each number of steps and one restart, then with the most steps and `restarts` of them."""
    rungs = [(count, 1) for count in sorted(steps)] + [(max(steps), restarts)]
    return [AttackSpec(name, count, n, seed) for name in names for count, n in dict.fromkeys(rungs)]


def strength_curve(
    source: Source,
    inputs: AttackInputs,
    threat_models: list[ThreatModel],
    attacks: list[AttackSpec],
    machine: Machine,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Columns of `COLUMNS`: the robust accuracy of all images together under each of the attacks alone.

    A converged attack's curve is flat at its end, and another objective or more restarts lie no lower.
    """
    rows = []
    for spec in progress(attacks, "attack strength"):
        verdicts = attack_in_blocks(source, inputs, threat_models, [spec], machine)
        for threat in threat_models:
            is_fooled = verdicts[threat.norm].is_fooled
            strength = (spec.name, spec.steps, spec.restarts)
            rows.append((threat.norm, threat.epsilon, *strength, len(is_fooled), 1 - is_fooled.mean()))
    return pd.DataFrame(rows, columns=COLUMNS)
