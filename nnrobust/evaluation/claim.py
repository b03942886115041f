"""What an evaluation claims of a network, in the fields that RobustBench asks for (`model_info`)."""

from fractions import Fraction
from typing import Any

import pandas as pd

from nnrobust.errors import DataError

FIELDS = (
    "link", "name", "authors", "additional_data", "number_forward_passes", "dataset", "venue", "architecture", "eps", "clean_acc",
    "reported", "autoattack_acc", "footnote",
)  # fmt: skip
GIVEN = ("link", "authors", "additional_data", "dataset", "venue", "architecture")
"""What only its maker knows; null where it is not given."""
STANDARD = ("apgd-ce-autoattack", "apgd-t", "fab-t", "square")
"""The attacks of AutoAttack's standard version."""


def model_info(table: pd.DataFrame, classifier: str, norm: str, **given: Any) -> dict[str, Any]:
    """The claim of one network under one threat model, out of `Evaluation.to_frame`: `FIELDS`, accuracies in percent as texts.

    `autoattack_acc` is null unless the four attacks of AutoAttack's standard version were run; `reported` is the robust accuracy
    under what was, and `footnote` says of how many images, and by which attacks. `given` are of `GIVEN`.

    Raises:
        DataError: when it was not attacked in that norm, or another field is given.
    """
    unknown = sorted(set(given) - set(GIVEN))
    if unknown:
        raise DataError(f"{unknown[0]}: expected fields of {', '.join(GIVEN)}, got another")
    mine = table[table["classifier"] == classifier].set_index("measure")
    if norm not in mine.index or mine.loc[norm, "kind"] != "attacked":
        raise DataError(f"{classifier}: expected a network that was attacked in {norm}, as RobustBench has no others, got "
                        f"{'no such row' if norm not in mine.index else mine.loc[norm, 'kind']}")  # fmt: skip
    clean, robust = (f"{100 * float(mine.loc[measure, 'accuracy']):.2f}" for measure in ("clean", norm))
    row = mine.loc[norm]
    is_standard = str(row["method"]) == " + ".join(STANDARD)
    values = {
        **dict.fromkeys(GIVEN),
        **given,
        "name": classifier,
        "number_forward_passes": 1,
        "eps": epsilon_text(float(row["epsilon"])),
        "clean_acc": clean,
        "reported": robust,
        "autoattack_acc": robust if is_standard else None,
        "footnote": f"{norm}, attacked by {row['method']} on {int(row['n'])} images: an upper bound",
    }
    return {name: values[name] for name in FIELDS}


def epsilon_text(epsilon: float) -> str:
    """Epsilon as RobustBench writes it: in 255ths where it is a whole number of them, else as a decimal."""
    share = Fraction(epsilon * 255).limit_denominator(1000)
    return (
        f"{share.numerator}/255"
        if share.denominator == 1 and share > 0 and abs(epsilon * 255 - share) < 1e-9
        else f"{epsilon:g}"
    )
