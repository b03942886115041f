"""What the paper claims in numbers: each sentence in a few words, and where it stands. `ledger.py` measures and judges them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """`quote` is a few words of arXiv 2404.06313, `paper` the number it gives or its words for one.

    `unit` is that of our number: `percent`, `points` (a difference of two percentages) or `times` (a ratio).
    """

    id: str
    where: str
    quote: str
    paper: str
    unit: str = "percent"


CLAIMS = (
    Claim("abstract_average", "abstract", "outperforms TRADES ... in terms of average adversarial accuracy", "better", "points"),
    Claim("abstract_zoo", "abstract", "outperforms almost all of them", "almost all of 69"),
    Claim("standard_training", "section 1", "adversarial accuracy is close to zero", "close to 0 %"),
    Claim("best_model", "section 1", "to above 60%", "> 60 %"),
    Claim("best_model_extra_data", "section 1", "with additional training data to above 70%", "> 70 %"),
    Claim("trades_linf", "section 1", "adversarial accuracy of over 54%", "> 54 %"),
    Claim("trades_l2", "section 1", "the adversarial accuracy is less than 5%", "< 5 %"),
    Claim("hyperparameters", "section 1", "performance varies greatly with different choices", "greatly", "points"),
    Claim("small_changes", "figure 1", "almost all pixel values are less than 8/255", "almost all"),
    Claim("plane_1nn", "section 1, figure 2", "correctly classifies all training examples and any small perturbation", "all"),
    Claim("plane_trades", "figure 2", "for some examples but not all", "some, not all"),
    Claim("plane_standard", "section 1", "several points that would not be robustly classified", "not all"),
    Claim("class_distances", "section 3", "we expect the assumption ... to hold in realistic datasets", "all pairs"),
    Claim("attacks", "section 4", "equally effective or superior", "at least as strong", "points"),
    Claim("training_time", "section 4, table 1", "orders of magnitude faster", "21,942 times", "times"),
    Claim("training_cost", "section 1", "significantly more expensive", "significantly", "times"),
    Claim("early_stop_time", "table 1", "7467.693 ... 99.842 68", "74.8 times", "times"),
    Claim("inference_time", "table 1", "0.000 09 ... 0.000 01", "9 times", "times"),
    Claim("clean_worse", "section 4", "much worse than the CNN", "much worse", "points"),
    Claim("clean_worst", "figure 4", "worst in terms of clean accuracy", "worst", "points"),
    Claim("train_1nn_linf", "section 4, figure 4", "100% robust accuracy on the training set", "100 %"),
    Claim("train_1nn_l2", "section 4, figure 4", "100% robust accuracy on the training set", "100 %"),
    Claim("train_networks_linf", "section 4, figure 4", "none ... above ... 80%", "<= 80 %"),
    Claim("train_networks_l2", "section 4, figure 4", "none ... above 40%", "<= 40 %"),
    Claim("test_l2", "section 4, figure 5", "better than all versions of TRADES", "better", "points"),
    Claim("test_linf", "section 4, figure 5", "comparable to the best version of TRADES", "comparable", "points"),
    Claim("test_both", "section 4, figure 5", "the best algorithm in terms of robust accuracy", "best", "points"),
    Claim("pairs_majority", "section 4, figure 6", "in the majority of 45 experiments", "> half"),
    Claim("pairs_36", "figure 6", "In 36 out of the 45 problems ... better or comparable", "36 of 45"),
    Claim("zoo_train_linf", "section 4, figure 8", "in terms of ... accuracy on the training set", "almost all of 69"),
    Claim("zoo_train_l2", "figure 8", "inferior to the 1NN classifier", "69 of 69"),
    Claim("zoo_test_linf", "figure 8", "increase the adversarial accuracy ... significantly", "all of 69"),
    Claim("zoo_test_l2", "figure 8", "inferior to the 1NN classifier", "69 of 69"),
    Claim("large_changes", "section 4, figure 7", "almost all pixels should be changed by over 8/255", "almost all"),
    Claim("larger_changes", "section 4, figure 7", "the changes required ... are much larger", "much larger", "times"),
)  # fmt: skip
IDS = tuple(one.id for one in CLAIMS)
