"""The paper's sentences that give a number, or words for one: an entry for each, with its rule and its measure.

A rule is the range of values that a sentence allows; `judge` says when a claim holds. A change of a rule shows in the
history of this file and, before, of profiles/paper.yaml: some rules were added or made narrower after a first run on
digits, none has changed since a run on CIFAR-10 was published.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nnrobust.claims.measures import (
    Evidence,
    Measured,
    change_ratio,
    difference,
    highest_score,
    lag_of_other_attacks,
    least_lead,
    mean_score,
    plane_share,
    share_of_distant_pairs,
    share_of_pairs,
    share_of_values,
    spread_of_settings,
    time_ratio,
)
from nnrobust.claims.zoo import zoo_accuracy, zoo_best, zoo_gain, zoo_share
from nnrobust.runtime.timing import MANY, TRAINING

TRADES = ("T_R", "T_B", "T_B_A")
NETWORKS = ("S", "E_S", *TRADES)
"""The paper's own variants, by the names that params give them; no claim judges others."""
BEST = "T_B"
PRETRAINED_TRADES, STANDARD = "Zhang2019Theoretically", "Standard"

Range = tuple[float | None, float | None]
"""From and to, ends included; None: open."""
Measure = Callable[[Evidence, float], Measured | None]
"""Takes a claim's number from a run; the second argument is the difference up to which accuracies are comparable."""


@dataclass(frozen=True)
class Claim:
    """`quote` is a few words of arXiv 2404.06313, `paper` the number it gives or its words for one.

    `unit` is that of our number: `percent`, `points` (a difference of two percentages) or `times` (a ratio). `accepted`
    is the range that the sentence allows, percent and points as fractions. `measure` takes our number from a run.
    """

    id: str
    where: str
    quote: str
    paper: str
    unit: str
    accepted: Range
    measure: Measure


TIMED = frozenset({"training_time", "training_cost", "early_stop_time", "inference_time"})
"""The claims about times, which differ from run to run: the report of a machine judges them, no stage does."""
CLAIMS = (
    Claim(
        "abstract_average", "abstract",
        "outperforms TRADES ... in terms of average adversarial accuracy", "better", "points",
        accepted=(0.001, None),  # the least lead over a TRADES version; "better" begins at a tenth of a point
        measure=lambda evidence, _: least_lead(evidence, ["1NN"], TRADES, "test", "mean"),
    ),
    Claim(
        "abstract_zoo", "abstract",
        "outperforms almost all of them", "almost all of 69", "percent",
        accepted=(0.9, None),  # the share that 1NN is ahead of; "almost all" begins at nine tenths
        measure=lambda evidence, _: zoo_share(evidence, "test", "L2"),
    ),
    Claim(
        "standard_training", "section 1",
        "adversarial accuracy is close to zero", "close to 0 %", "percent",
        accepted=(None, 0.05),
        measure=lambda evidence, _: mean_score(evidence, "S", "test", "Linf"),
    ),
    Claim(
        "best_model", "section 1",
        "to above 60%", "> 60 %", "percent",
        accepted=(0.6, None),
        measure=lambda evidence, _: zoo_best(evidence, "Linf", without_extra_data=True),
    ),
    Claim(
        "best_model_extra_data", "section 1",
        "with additional training data to above 70%", "> 70 %", "percent",
        accepted=(0.7, None),  # of all 69: RobustBench does not count generated images as extra data
        measure=lambda evidence, _: zoo_best(evidence, "Linf", without_extra_data=False),
    ),
    Claim(
        "trades_linf", "section 1",
        "adversarial accuracy of over 54%", "> 54 %", "percent",
        accepted=(0.54, None),
        measure=lambda evidence, _: zoo_accuracy(evidence, "Linf", PRETRAINED_TRADES),
    ),
    Claim(
        "trades_l2", "section 1",
        "the adversarial accuracy is less than 5%", "< 5 %", "percent",
        accepted=(None, 0.05),
        measure=lambda evidence, _: zoo_accuracy(evidence, "L2", PRETRAINED_TRADES),
    ),
    Claim(
        "hyperparameters", "section 1",
        "performance varies greatly with different choices", "greatly", "points",
        accepted=(0.05, None),  # the best setting of the search minus the worst
        measure=lambda evidence, _: spread_of_settings(evidence),
    ),
    Claim(
        "small_changes", "figure 1",
        "imperceptible perturbations in which almost all pixel values are less than 8/255", "almost all", "percent",
        accepted=(0.9, None),  # the share of pixel values that the L2 attack changes by less than the Linf epsilon
        measure=lambda evidence, _: share_of_values(evidence, is_nearest_neighbor=False, column="share_below"),
    ),
    Claim(
        "plane_1nn", "section 1, figure 2",
        "correctly classifies all training examples and any small perturbation", "all", "percent",
        accepted=(1, None),  # the share of the plane's points that 1NN is robust on
        measure=lambda evidence, _: plane_share(evidence, lambda panel: panel == "1NN"),
    ),
    Claim(
        "plane_trades", "figure 2",
        "for some examples but not all", "some, not all", "percent",
        accepted=(0.001, 0.999),  # the better TRADES network's share
        measure=lambda evidence, _: plane_share(evidence, lambda panel: panel.startswith("TRADES")),
    ),
    Claim(
        "plane_standard", "section 1",
        "several points that would not be robustly classified", "not all", "percent",
        accepted=(None, 0.999),  # standard training's share
        measure=lambda evidence, _: plane_share(evidence, lambda panel: panel == "overwritten loss"),
    ),
    Claim(
        "class_distances", "section 3",
        "we expect the assumption ... to hold in realistic datasets", "all pairs", "percent",
        accepted=(1, None),  # the share of pairs with d0 >= 2 epsilon sqrt(N)
        measure=lambda evidence, _: share_of_distant_pairs(evidence),
    ),
    Claim(
        "attacks", "section 4",
        "equally effective or superior", "at least as strong", "points",
        accepted=(-0.005, None),  # robust accuracy under other libraries' PGD minus that under APGD-CE
        measure=lambda evidence, _: lag_of_other_attacks(evidence),
    ),
    Claim(
        "training_time", "section 4, table 1",
        "orders of magnitude faster", "21,942 times", "times",
        accepted=(100, None),  # two orders of magnitude
        measure=lambda evidence, _: time_ratio(evidence, "T_R", "1NN", TRAINING),
    ),
    Claim(
        "training_cost", "section 1",
        "significantly more expensive", "significantly", "times",
        accepted=(2, None),
        measure=lambda evidence, _: time_ratio(evidence, "T_R", "S", TRAINING),
    ),
    Claim(
        "early_stop_time", "table 1",
        "7467.693 ... 99.842 68", "74.8 times", "times",
        accepted=(37.4, 149.7),  # a factor of two around 74.8
        measure=lambda evidence, _: time_ratio(evidence, "T_R", "E_S", TRAINING),
    ),
    Claim(
        "inference_time", "table 1",
        "0.000 09 ... 0.000 01", "9 times", "times",
        accepted=(1, None),  # a network is slower than 1NN
        measure=lambda evidence, _: time_ratio(evidence, "T_R", "1NN", MANY),
    ),
    Claim(
        "clean_worse", "section 4",
        "much worse than the CNN", "much worse", "points",
        accepted=(0.05, None),  # "much" begins at five points
        measure=lambda evidence, _: difference(evidence, "S", "1NN", "test", "clean"),
    ),
    Claim(
        "clean_worst", "figure 4",
        "worst in terms of clean accuracy", "worst", "points",
        accepted=(0.001, None),  # the least lead of a network over 1NN
        measure=lambda evidence, _: least_lead(evidence, NETWORKS, ["1NN"], "test", "clean"),
    ),
    Claim(
        "train_1nn_linf", "section 4, figure 4",
        "100% robust accuracy on the training set", "100 %", "percent",
        accepted=(0.995, None),  # rounds to 100 %
        measure=lambda evidence, _: mean_score(evidence, "1NN", "train", "Linf"),
    ),
    Claim(
        "train_1nn_l2", "section 4, figure 4",
        "100% robust accuracy on the training set", "100 %", "percent",
        accepted=(0.995, None),  # rounds to 100 %
        measure=lambda evidence, _: mean_score(evidence, "1NN", "train", "L2"),
    ),
    Claim(
        "train_networks_linf", "section 4, figure 4",
        "none ... above ... 80%", "<= 80 %", "percent",
        accepted=(None, 0.8),
        measure=lambda evidence, _: highest_score(evidence, NETWORKS, "train", "Linf"),
    ),
    Claim(
        "train_networks_l2", "section 4, figure 4",
        "none ... above 40%", "<= 40 %", "percent",
        accepted=(None, 0.4),
        measure=lambda evidence, _: highest_score(evidence, NETWORKS, "train", "L2"),
    ),
    Claim(
        "test_l2", "section 4, figure 5",
        "better than all versions of TRADES", "better", "points",
        accepted=(0.001, None),  # the least lead over a TRADES version
        measure=lambda evidence, _: least_lead(evidence, ["1NN"], TRADES, "test", "L2"),
    ),
    Claim(
        "test_linf", "section 4, figure 5",
        "comparable to the best version of TRADES", "comparable", "points",
        accepted=(-0.02, 0.02),  # equivalence: claims.margin of params on either side
        measure=lambda evidence, _: difference(evidence, "1NN", BEST, "test", "Linf"),
    ),
    Claim(
        "test_both", "section 4, figure 5",
        "the best algorithm in terms of robust accuracy", "best", "points",
        accepted=(0.001, None),  # the least lead over a network, in the mean of both norms
        measure=lambda evidence, _: least_lead(evidence, ["1NN"], NETWORKS, "test", "mean"),
    ),
    Claim(
        "pairs_majority", "section 4, figure 6",
        "in the majority of 45 experiments", "> half", "percent",
        accepted=(0.501, None),  # the share of pairs with 1NN strictly ahead, in the mean of both norms
        measure=lambda evidence, _: share_of_pairs(evidence, "1NN", BEST, lambda gap: gap > 0),
    ),
    Claim(
        "pairs_36", "figure 6",
        "In 36 out of the 45 problems ... better or comparable", "36 of 45", "percent",
        accepted=(0.7333, 0.8667),  # the share of pairs with 1NN ahead or comparable: 36 of 45, give or take 3
        measure=lambda evidence, margin: share_of_pairs(evidence, "1NN", BEST, lambda gap: gap >= -margin),
    ),
    Claim(
        "zoo_train_linf", "section 4, figure 8",
        "in terms of ... accuracy on the training set", "almost all of 69", "percent",
        accepted=(0.9, None),  # the share that 1NN is ahead of
        measure=lambda evidence, _: zoo_share(evidence, "train", "Linf"),
    ),
    Claim(
        "zoo_train_l2", "figure 8",
        "inferior to the 1NN classifier", "69 of 69", "percent",
        accepted=(0.98, None),  # all, or all but one
        measure=lambda evidence, _: zoo_share(evidence, "train", "L2"),
    ),
    Claim(
        "zoo_test_linf", "figure 8",
        "increase the adversarial accuracy ... significantly", "all of 69", "percent",
        accepted=(0.9, None),  # the share of the 68 others that are ahead of the one that is not adversarially trained
        measure=lambda evidence, _: zoo_gain(evidence, "Linf", STANDARD),
    ),
    Claim(
        "zoo_test_l2", "figure 8",
        "inferior to the 1NN classifier", "69 of 69", "percent",
        accepted=(0.98, None),  # all, or all but one
        measure=lambda evidence, _: zoo_share(evidence, "test", "L2"),
    ),
    Claim(
        "large_changes", "section 4, figure 7",
        "almost all pixels should be changed by over 8/255", "almost all", "percent",
        accepted=(0.9, None),  # the share of values that fooling 1NN changes by more than the Linf epsilon
        measure=lambda evidence, _: share_of_values(evidence, is_nearest_neighbor=True, column="share_above"),
    ),
    Claim(
        "larger_changes", "section 4, figure 7",
        "the changes required ... are much larger", "much larger", "times",
        accepted=(2, None),  # the mean L2 change that fools 1NN over the one that fools a network
        measure=lambda evidence, _: change_ratio(evidence),
    ),
)  # fmt: skip
