"""Have the attacks converged? By how much the accuracy falls at most when they are made stronger."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from nnrobust.figures.style import MARKERS, NARROW, Layout, panels, wrapped

STEPS, RESTARTS, ATTACK = "more steps", "more restarts", "another attack"


def drops_table(table: pd.DataFrame) -> pd.DataFrame:
    """By classifier and norm, how far the accuracy falls, in points, under a stronger attack: the largest fall of all attacks.

    Columns classifier, norm, change, what, drop and n. Changes: the most steps against the next fewer, several restarts against
    one at the most steps, and the strongest attack against the first, each at its strongest.
    """
    rows = []
    for (classifier, norm), part in table.groupby(["classifier", "norm"], sort=False):
        about = {"classifier": classifier, "norm": norm, "n": int(part["n"].max())}
        for change, what, drop in _drops(part):
            rows.append({**about, "change": change, "what": what, "drop": round(100 * drop, 4)})
    return pd.DataFrame(rows, columns=["classifier", "norm", "change", "what", "drop", "n"])


def _drops(part: pd.DataFrame) -> list[tuple[str, str, float]]:
    single = part[part["restarts"] == 1].pivot_table(
        index="attack", columns="steps", values="robust_accuracy", sort=True
    )
    steps, found = list(single), []
    if len(steps) > 1:
        drop = (single[steps[-2]] - single[steps[-1]]).max()
        found.append((STEPS, f"{steps[-2]} to {steps[-1]} steps", float(drop)))
    several = part[part["restarts"] > 1].groupby("attack")["robust_accuracy"].min()
    if len(several):
        drop = (single[steps[-1]] - several).max()
        found.append((RESTARTS, f"1 to {part['restarts'].max()} restarts", float(drop)))
    least = part.groupby("attack", sort=False)["robust_accuracy"].min()
    if len(least) > 1:
        found.append((ATTACK, f"{least.idxmin()} against {least.index[0]}", float(least.iloc[0] - least.min())))
    return found


def in_words(drops: pd.DataFrame) -> str:
    """What was made stronger, as `with 20 to 40 steps, with 1 to 2 restarts, and ...`."""
    what = [str(one) for one in drops.loc[drops["change"] != ATTACK, "what"].drop_duplicates()]
    others = [f"under {ATTACK}"] if (drops["change"] == ATTACK).any() else []
    return ", ".join([*(f"from {one}" for one in what), *others])


def strength_figure(drops: pd.DataFrame, dataset: str, layout: Layout) -> Figure:
    """A panel for each norm, a line for each network, a dot for each change that makes an attack stronger."""
    norms, names = list(dict.fromkeys(drops["norm"])), list(dict.fromkeys(drops["classifier"]))
    n_rows = len(norms) if layout == NARROW else 1
    figure = Figure(figsize=(layout.width, 0.9 + n_rows * (0.9 + 0.27 * len(names))))
    changes, colors = list(dict.fromkeys(drops["change"])), sns.color_palette("colorblind")
    every = panels(figure, len(norms), layout, sharex=True, sharey=True)
    for axes, norm in zip(every, norms, strict=True):
        part = drops[drops["norm"] == norm]
        for i, change in enumerate(changes):
            one = part[part["change"] == change]
            places = one["classifier"].map({name: place for place, name in enumerate(names)})
            shift = 0.22 * (i - (len(changes) - 1) / 2)
            axes.plot(one["drop"], places + shift, MARKERS[i], color=colors[i], markersize=5.5,
                      label=change if axes is every[0] else None)  # fmt: skip
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="fall of the accuracy (points)")
        axes.set_yticks(np.arange(len(names)), names)
        axes.set_title(norm, loc="left", fontweight="bold")
    largest = float(drops["drop"].max())
    every[0].set_xlim(-0.05 * max(largest, 1.0), max(1.1 * largest, 1.0))
    figure.legend(loc="outside lower center", ncols=2 if layout == NARROW else len(changes), frameon=False)
    figure.suptitle(wrapped(f"{dataset}, {int(drops['n'].max())} test images: the largest fall of all attacks", layout))
    return figure
