"""What blocks of `params.yaml` promise to one another: each check raises a ValueError that names the key, expected and got."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nnrobust.threat import diameter

if TYPE_CHECKING:
    from nnrobust.config.blocks import Data, Epsilons, ExampleImages, Growth, Search, Variant
    from nnrobust.config.classifiers import Simple

CLASSES: dict[str, tuple[str, ...]] = {
    "digits": tuple("0123456789"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
"""The class names of the sources that have the same ones always."""
N_DIMENSIONS = {"digits": 64, "cifar10": 3072, "mnist": 784, "fashion_mnist": 784}
MOST_DIMENSIONS = 3 * 2**20
"""Pixel values of an image, where the source has the same size always; else the most that an image may have."""
RESERVED = ("1nn", "zoo", "models", "all", "strength", "training", "history", "examples", "fits", "bounds")
"""Names, in small letters, that no variant may have: folders of records, and words of tables, are called so."""
WHOLE = "_all_classes"
"""How the name ends under which the summary has a classifier's accuracies on all classes."""
SEVERAL_CLASSES = ("apgd-dlr", "apgd-t")
"""Attacks whose objective needs more classes than the two of a pair."""
LARGEST = {
    "epochs": 100_000,
    "batch_size": 100_000,
    "learning_rate": 1_000.0,
    "weight_decay": 1_000.0,
    "decay": 1_000.0,
}
"""Above any that trains a network, and below what overflows."""


def check_each_once(key: str, values: Iterable[object]) -> None:
    """No value of a list is there twice."""
    seen: list[object] = []
    for value in values:
        if value in seen:
            raise ValueError(f"{key}: expected each value once, got {value!r} again; delete one of them")
        seen.append(value)


def check_ascending(key: str, values: Sequence[int]) -> None:
    """Each number of a list is larger than the one before it."""
    if any(later <= earlier for earlier, later in pairwise(values)):
        raise ValueError(f"{key}: expected ascending numbers, each once, got {list(values)}; sort them")


def check_data(data: "Data") -> None:
    """The pairs are of two known classes, each once; names and the path are such that they name something."""
    for key, text, most in (("name", data.name, 100), ("path", data.path, 1_000)):
        if not text.strip() or text != text.strip() or len(text) > most:
            raise ValueError(f"data.{key}: expected 1 to {most:,} characters without spaces around, got {text[:40]!r}")
    if not data.name[0].isalnum() or not all(letter.isalnum() or letter in " _-.,()" for letter in data.name):
        raise ValueError(
            f"data.name: expected letters, digits, spaces and _-.,(), a letter or digit first, got {data.name!r}"
        )
    if data.sha256 is not None and data.source != "image_folder":
        raise ValueError(
            f"data.sha256: expected null, as it is for the archive of an image_folder, got one for {data.source}"
        )
    if data.pairs == "all":
        return
    if not data.pairs:
        raise ValueError("data.pairs: expected all, or at least one pair of class names, got []")
    for pair in data.pairs:
        check_two_classes("data.pairs", pair, data.source)
    check_each_once("data.pairs", [sorted(pair) for pair in data.pairs])


def check_two_classes(key: str, names: Sequence[str], source: str) -> None:
    """Two different names, of classes that the source has, where it has the same ones always."""
    if names[0] == names[1]:
        raise ValueError(f"{key}: expected two different classes, got {list(names)}; name another")
    known = CLASSES.get(source)
    unknown = [name for name in names if known and name not in known]
    if known and unknown:
        raise ValueError(
            f"{key}: expected classes of {source}, {', '.join(known)}, got {unknown[0]!r}; name one of them"
        )


def check_epsilon(key: str, norm: str, epsilon: float, source: str) -> None:
    """An epsilon in pixel units, at which a ball does not have every image there is."""
    largest = diameter(norm, N_DIMENSIONS.get(source, MOST_DIMENSIONS))
    if epsilon > largest * (1 + 1e-12):
        raise ValueError(
            f"{key}: expected at most {largest:g}, as pixels are in [0, 1] and no two images are further apart, got "
            f"{epsilon:g}; write {epsilon:g}/255 if pixels of 0 to 255 are meant"
        )


def check_epsilons(epsilon: "Epsilons", data: "Data") -> None:
    """Epsilons in pixel units; the L2 ball is no larger than the one that has the Linf ball of the largest images."""
    for threat in epsilon.threat_models():
        check_epsilon(f"epsilon.{threat.norm}", threat.norm, threat.epsilon, data.source)
    growth = diameter("L2", MOST_DIMENSIONS)
    if epsilon.L2 / epsilon.Linf > growth:
        raise ValueError(
            f"epsilon.L2: expected at most {growth:.6g} times epsilon.Linf, got {epsilon.L2:g} and {epsilon.Linf:g}; write both "
            "in pixel units of [0, 1], as 8/255 and 8/255*sqrt(3072)"
        )


def check_names(place: str, names: Iterable[str], others: Mapping[str, Iterable[str]]) -> None:
    """Names that files and tables can have, beside those of `others`, by what they are of."""
    check_each_once(f"{place}, in capitals or not", [name.lower() for name in names])
    for name in names:
        is_plain = name.isascii() and name.replace("_", "").isalnum() and name[0] != "_" and len(name) <= 40
        if not is_plain or name.isdigit() or name.lower() in RESERVED or name.lower().endswith(WHOLE):
            raise ValueError(
                f"{place}: expected names of letters, digits and _, not 1NN, got {name[:60]!r}; not digits alone, no _ first, "
                f"at most 40 characters, no {WHOLE} last, and none of {', '.join(RESERVED)}"
            )
        taken = [kind for kind, known in others.items() if name in known]
        if taken:
            raise ValueError(f"{place}: expected names that no {taken[0]} has, as records go by name, got {name!r}")


def check_imported(imported: Mapping[str, str], others: Mapping[str, Iterable[str]]) -> None:
    """Names as `check_names`, each with a campaign's folder, or a network's file in it, inside the repository."""
    check_names("imported", imported, others)
    for name, place in imported.items():
        parts = place.split("/")
        if not place.strip() or place != place.strip() or place.startswith("/") or {"", ".", ".."} & set(parts):
            raise ValueError(
                f"imported.{name}: expected a folder in the repository, as results/cifar10-jpeg/records, or a network's file in "
                f"one, got {place[:60]!r}"
            )


def check_classifiers(classifiers: "dict[str, Simple]", data: "Data") -> None:
    """Epsilons in pixel units, of those that have one."""
    for name, block in classifiers.items():
        if block.kind != "mean":
            check_epsilon(f"classifiers.{name}.epsilon", block.norm, block.epsilon, data.source)


def check_growth(growth: "Growth", classifiers: "dict[str, Simple]") -> None:
    """Classifiers that are there."""
    for name in growth.classifiers:
        if name not in classifiers:
            known = ", ".join(classifiers) or "none"
            raise ValueError(
                f"growth.classifiers: expected names of classifiers, which are {known}, got {name[:60]!r}; add its "
                "block, or take it out"
            )


def check_variants(variants: "dict[str, Variant]", data: "Data") -> None:
    """Schedules and steps in order, epsilons in pixel units."""
    for name, variant in variants.items():
        check_ascending(f"variants.{name}.milestones", variant.milestones)
        for key, largest in LARGEST.items():
            if getattr(variant, key) > largest:
                raise ValueError(f"variants.{name}.{key}: expected at most {largest:g}, got {getattr(variant, key):g}")
        for place, inner in enumerate(variant.trades.perturbations if variant.trades else ()):
            key = f"variants.{name}.trades.perturbations.{place}"
            check_epsilon(f"{key}.epsilon", inner.norm, inner.epsilon, data.source)
            if inner.step_size > 2 * inner.epsilon:
                raise ValueError(
                    f"{key}.step_size: expected at most {2 * inner.epsilon:g}, twice epsilon, as no step within the ball is "
                    f"longer, got {inner.step_size:g}"
                )


def check_search(search: "Search", variants: "dict[str, Variant]", data: "Data") -> None:
    """The one variant whose settings are searched, and epsilons in its norm."""
    if len(search.variants) != min(1, len(variants)):
        raise ValueError(
            "search.variants: expected one of the variants in a list, or [] where there are no variants, got "
            f"{search.variants}"
        )
    for name in search.variants:
        if name not in variants:
            raise ValueError(f"search.variants: expected one of {sorted(variants)}, got {name!r}")
        trades = variants[name].trades
        if trades is None or len(trades.perturbations) != 1:
            raise ValueError(
                f"search.variants: expected a variant with a trades block of one perturbation, got {name!r}"
            )
        for epsilon in search.space.epsilon:
            check_epsilon("search.space.epsilon", trades.perturbations[0].norm, epsilon, data.source)


def check_examples(
    examples: "ExampleImages", variants: "dict[str, Variant]", zoo_models: Sequence[str], data: "Data"
) -> None:
    """Classifiers that there are, each with the file it depends on, on a problem that all of them have."""
    problem = examples.problem
    for name, path in examples.classifiers.items():
        if name not in {"1NN", *variants, *zoo_models}:
            raise ValueError(f"examples.classifiers: expected 1NN, variants or zoo.models, got {name!r}")
        if name in variants and problem == "all":
            raise ValueError(f"examples.problem: expected two class names for the variant {name}, got all")
        if name in zoo_models and problem != "all":
            raise ValueError(f"examples.problem: expected all for the zoo model {name}, got {problem}")
        trained = f"models/trained/{name}.safetensors"
        wanted = "data/prepared" if name == "1NN" else trained if name in variants else f"models/zoo/{name}"
        if path != wanted:
            raise ValueError(
                f"examples.classifiers.{name}: expected {wanted}, which it depends on, got {path!r}; write that"
            )
    if problem == "all":
        return
    check_two_classes("examples.problem", problem, data.source)
    pairs = [sorted(pair) for pair in data.pairs] if data.pairs != "all" else [sorted(problem)]
    of_pairs = [name for name in examples.classifiers if name in variants and variants[name].problem == "pairs"]
    if sorted(problem) not in pairs and of_pairs:
        raise ValueError(f"examples.problem: expected one of data.pairs, on which variants are trained, got {problem}")


def check_objectives(key: str, names: Iterable[str], on_pairs: Sequence[str]) -> None:
    """No attack on networks of two classes is one of those that need more."""
    for name in names:
        if on_pairs and name in SEVERAL_CLASSES:
            raise ValueError(
                f"{key}: expected attacks for the two classes of a pair, got {name}; write apgd-margin in its place"
            )
