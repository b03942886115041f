"""The command `nnrobust`: `evaluate`, `radius` and `verify`, on the functions of the library."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from nnrobust import __version__
from nnrobust.errors import DataError, DataWarning, NnrobustError
from nnrobust.threat import NORMS, parse_epsilon

if TYPE_CHECKING:
    from torch import nn

NAMES = (("X", "y"), ("images", "labels"))
"""What the arrays of a data file may be called: images and their labels."""
ARRAYS = "an .npz file with the arrays X and y, or images and labels: uint8, or floats in [0, 1]"
FAULT = 2
"""The exit status after an error, which is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments (None: those of the process) and returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except (NnrobustError, OSError) as error:
        print(f"nnrobust: {' '.join(str(error).split())}", file=sys.stderr)
        return FAULT
    except ModuleNotFoundError as error:
        print(
            f"nnrobust: {error}; `pip install 'nnrobust[attacks]'`, or [zoo], [onnx] for such models", file=sys.stderr
        )
        return FAULT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("nnrobust", description="Robustness of classifiers to small perturbations.")
    parser.add_argument("--version", action="version", version=f"nnrobust {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_evaluate(commands.add_parser)
    _add_radius(commands.add_parser)
    _add_verify(commands.add_parser)
    return parser


def _add_evaluate(add: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Clean and robust accuracy of networks on the same images, with 1NN beside them."
    parser = add("evaluate", help="clean and robust accuracy of networks in one table", description=about)
    kinds = (
        "FILE.py:FUNCTION, onnx:FILE, exported:FILE, timm:NAME, hub:FOLDER:NAME, verification:NAME or robustbench:NAME"
    )
    parser.add_argument("--model", action="append", default=[], metavar="[NAME=]MODEL", help=kinds)
    of_functions = "weights of a function's network, one file for each model that needs one, in their order"
    parser.add_argument("--weights", action="append", default=[], metavar="FILE", help=of_functions)
    parser.add_argument("--folder", default=".", help="where the files of named models lie")
    parser.add_argument("--data", required=True, help=ARRAYS)
    parser.add_argument("--references", help="the same for training images: 1NN on them is a row of the table")
    sizes = "in units of pixels in [0, 1], as often as there are threat models (default: Linf=8/255)"
    parser.add_argument("--threat", action="append", metavar="NORM=EPSILON", help=sizes)
    parser.add_argument("--attacks", default="default", choices=("default", "autoattack"))
    parser.add_argument(
        "--bounds", action="store_true", help="certified lower bounds of the networks too, by linear bounds"
    )
    parser.add_argument("--stated", type=float, help="the clean accuracy in [0, 1] that is said of the first model")
    parser.add_argument("--allowance", type=float, default=0.05, help="how far below that it may be (default: 0.05)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--out", help="a folder for the table, the records and a page")
    parser.set_defaults(run=_evaluate)


def _add_radius(add: Callable[..., argparse.ArgumentParser]) -> None:
    about = "The exact distance, in units of pixels in [0, 1], at which 1NN changes its answer for each image."
    parser = add("radius", help="exact radii of 1NN", description=about)
    parser.add_argument("--references", required=True, help=f"training images, {ARRAYS}")
    parser.add_argument("--data", required=True, help="the images asked about, in the same form and units")
    parser.add_argument("--norm", default="L2", choices=NORMS)
    parser.add_argument("--no-box", action="store_true", help="perturbed images may leave [0, 1]")
    parser.add_argument("--epsilon", help="only decides whether radii exceed it, which is faster, as 8/255")
    parser.add_argument("--out", help="a file for the table, in CSV, which else is printed")
    parser.add_argument("--proofs", help="a file for the radii with their proofs, for `nnrobust verify`")
    parser.set_defaults(run=_radius)


def _add_verify(add: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Checks the proofs of radii without the solver; exit status 1 where one does not hold."
    parser = add("verify", help="checks a file of radii with their proofs", description=about)
    parser.add_argument(
        "proofs", metavar="FILE", help="what `nnrobust radius --proofs`, or save() of a result, has written"
    )
    known = "an .npz file of what the proofs are about: references as X and y, or weights as coef and intercept"
    parser.add_argument("--references", required=True, help=known)
    parser.set_defaults(run=_verify)


def _evaluate(options: argparse.Namespace) -> None:
    from nnrobust.evaluation.evaluate import evaluate

    X, y = read_arrays(options.data)  # noqa: N806
    models: dict[str, Any] = _models(options)
    bounds = list(models) if options.bounds else []
    if options.references:
        from nnrobust.nearest.estimator import OneNearestNeighbor

        references = read_arrays(options.references)
        models["1NN"] = OneNearestNeighbor().fit(*references)
    if not models:
        raise DataError("--model: expected one or more, or --references for 1NN, got none")
    stated = {} if options.stated is None else {next(iter(models)): options.stated}
    result = evaluate(
        models, X, y, dict(map(_threat, options.threat or ["Linf=8/255"])), attacks=options.attacks, stated=stated,
        allowance=options.allowance, device=options.device, seed=options.seed, batch_size=options.batch_size, bounds=bounds,
        progress=True,
    )  # fmt: skip
    print(result)
    if options.out:
        result.save(options.out)


def _models(options: argparse.Namespace) -> "dict[str, nn.Module]":
    """The models by name, each with its weights, where it is a function's network and weights are left."""
    from nnrobust.models.load import fill
    from nnrobust.models.sources import load_model
    from nnrobust.models.weights import read_weights

    found, weights = {}, list(options.weights)
    for text in options.model:
        name, _, source = text.rpartition("=")
        network = load_model(source, options.folder)
        if ".py:" in source and weights:
            file = weights.pop(0)
            fill(network, read_weights(Path(file), ""), f"{file} for {source}")
        name = name or source
        if name in found:
            raise DataError(f"--model: expected each name once, got {name} again; write NAME={source}")
        found[name] = network
    if weights:
        raise DataError(f"--weights: expected one file for each FILE.py:FUNCTION at most, got {weights[0]} besides")
    return found


def _radius(options: argparse.Namespace) -> None:
    from nnrobust.evaluation.data import Data
    from nnrobust.nearest.estimator import OneNearestNeighbor

    references, data = (Data.of(*read_arrays(path)) for path in (options.references, options.data))
    if references.unit != data.unit:
        raise DataError(
            f"--data: expected images in the units of the references, {references.images.dtype}, got {data.images.dtype}"
        )
    model = OneNearestNeighbor().fit(references.images, references.labels)
    epsilon = None if options.epsilon is None else _epsilon(options.epsilon) * data.unit
    box = None if options.no_box else (0.0, data.unit)
    radius = model.robust_radius(data.images, data.labels, norm=options.norm, box=box, epsilon=epsilon)
    if options.proofs:
        radius.save(options.proofs)
    bounds = radius.lower / data.unit, radius.upper / data.unit
    rows = zip(range(len(data.labels)), data.labels, model.predict(data.images), *bounds, radius.status, strict=True)
    lines = ["index,label,prediction,lower,upper,status", *(",".join(map(str, row)) for row in rows)]
    if options.out:
        Path(options.out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        print("\n".join(lines))


def _verify(options: argparse.Namespace) -> int:
    from nnrobust.nearest.verification import verify

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        holds = verify(options.proofs, read_arrays(options.references, (*NAMES, ("coef", "intercept"))))
    for one in caught:
        print(f"nnrobust: {one.message}", file=sys.stderr)
    wrong = np.flatnonzero(~holds)
    print(f"{holds.sum()} of {len(holds)} radii hold" + (f"; not that of query {wrong[0]}" if len(wrong) else ""))
    return 1 if len(wrong) else 0


def read_arrays(path: str, known: Sequence[tuple[str, str]] = NAMES) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in an .npz file, or the first pair of `known` names that it has.

    Raises:
        DataError: when it is missing, is none, holds objects, or has them under other names.
    """
    try:
        # Opened here, as NumPy leaves a file open that is no archive.
        with Path(path).open("rb") as file, np.load(file) as stored:
            for names in known:
                if set(names) <= set(stored):
                    return stored[names[0]], stored[names[1]]
            got = ", ".join(stored)
    except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise DataError(f"{path}: expected an .npz file of arrays ({error})") from error
    raise DataError(f"{path}: expected arrays called {' or '.join(' and '.join(names) for names in known)}, got {got}")


def _threat(text: str) -> tuple[str, float]:
    norm, _, epsilon = text.partition("=")
    return norm, _epsilon(epsilon)


def _epsilon(text: str) -> float:
    try:
        return parse_epsilon(text)
    except ValueError as error:
        raise DataError(f"epsilon: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
