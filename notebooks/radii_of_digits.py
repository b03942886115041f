# %% [markdown]
# # Radii of digits
#
# How far must a handwritten digit be changed before the nearest neighbour is another digit? Exactly this far; and
# what does the nearest such image look like?

# %%
import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from nnrobust import OneNearestNeighbor

X, y = load_digits(return_X_y=True)
X = X / 16
model = OneNearestNeighbor().fit(X[:1500], y[:1500])
queries, labels = X[1500:1540], y[1500:1540]
results = {norm: model.robust_radius(queries, labels, norm=norm, box=(0, 1)) for norm in ("Linf", "L2", "L1")}
for norm, result in results.items():
    assert result.verify().all(), "every proof holds, without the solver that found it"
    print(f"{norm:4}  median radius {np.median(result.upper):.4f}  all exact: {(result.status == 'exact').all()}")

# %% [markdown]
# ## Accuracy against epsilon
# One radius an image gives the robust accuracy at every epsilon: the share of images whose radius is larger.

# %%
radii = np.sort(results["Linf"].lower)
figure, axes = plt.subplots(figsize=(6, 3.4))
axes.step(radii, 1 - np.arange(1, len(radii) + 1) / len(radii), where="post")
axes.set(xlabel="epsilon, Linf, in units of pixels in [0, 1]", ylabel="robust accuracy, exact", ylim=(0, 1))
axes.grid(alpha=0.3)

# %% [markdown]
# ## The nearest image with another label
# Above, the images; below, the nearest points that 1NN labels differently, in L2. The perturbations differ by norm:
# Linf changes nearly every pixel a little, L1 few pixels much.

# %%
figure, axes = plt.subplots(2, 6, figsize=(7, 2.6))
found = model.predict(results["L2"].x_adv)
assert (found != labels).all()
for column in range(6):
    for row, image, name in ((0, queries, labels), (1, results["L2"].x_adv, found)):
        axes[row, column].imshow(image[column].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes[row, column].set_title(f"label {name[column]}", fontsize=9)
        axes[row, column].axis("off")

# %%
for norm, result in results.items():
    change = np.abs(result.x_adv - queries)
    print(
        f"{norm:4}  pixels changed by more than 0.01: {(change > 0.01).mean():.0%}  largest change: {change.max():.2f}"
    )
