# %% [markdown]
# # Published runs
#
# Every published run is a folder of small tables in `results/`. Here is how to ask them something that the report
# does not answer: on which pairs of classes is 1NN ahead of the best network, and does the distance between the
# classes say so beforehand?

# %%
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

ROOT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "dvc.yaml").exists())
RUN = ROOT / "results" / "cifar10-jpeg"
pairs = pd.read_csv(RUN / "pairs.csv").query("split == 'test' and pair != 'all' and norm == 'L2'")
print(pairs.groupby(["classifier", "kind", "method"])["robust_accuracy"].agg(["mean", "count"]).round(3).to_string())

# %% [markdown]
# `kind` comes first in every question: 1NN's number is exact, a network's is what one attack, two, or three left
# standing, an upper bound. So a lead of the network might shrink under stronger attacks, a lead of 1NN cannot.

# %%
exact = pairs.query("classifier == '1NN' and method == 'exact'").set_index("pair")["robust_accuracy"]
network = pairs.query("classifier == 'T_L2_10'").groupby("pair")["robust_accuracy"].min()
lead = (exact - network).dropna()
assert len(lead) == 45
print(
    f"1NN (exact) ahead of T_L2_10 (attacked) on {(lead > 0).sum()} of {len(lead)} pairs; nearest: {100 * lead.max():.1f} points"
)

# %% [markdown]
# ## Does d0 tell?
# d0 is the distance between the nearest images of two classes, the premise of the paper's theorem.

# %%
distances = pd.read_csv(RUN / "class_distances.csv")
names = list(dict.fromkeys([*distances["first"], *distances["second"]]))
distances["pair"] = [f"{names.index(row.first)}-{names.index(row.second)}" for row in distances.itertuples()]
joined = (
    distances.set_index("pair")["distance"].to_frame("d0").join(exact.rename("1NN")).join(network.rename("T_L2_10"))
)
figure, axes = plt.subplots(figsize=(6, 3.6))
for name, marker, face in (("1NN", "o", "C0"), ("T_L2_10", "s", "none")):
    axes.scatter(
        joined["d0"],
        100 * joined[name],
        marker=marker,
        facecolors=face,
        edgecolors="C0" if face != "none" else "C1",
        label=name,
    )
axes.set(xlabel="d0, L2 between the nearest images of two classes", ylabel="robust at 1.739 in L2 (%)")
axes.legend(title="1NN exact, T_L2_10 attacked")
print(joined.corr("spearman").round(2).to_string())
