"""Claims in the fields that RobustBench asks for."""

import pandas as pd
import pytest

from nnrobust.errors import DataError
from nnrobust.evaluation.claim import FIELDS, epsilon_text, model_info

STANDARD = "apgd-ce-autoattack + apgd-t + fab-t + square"


def table(method):
    rows = [
        ("net", "clean", float("nan"), "exact", "", 200, 0.845),
        ("net", "Linf", 8 / 255, "attacked", method, 200, 0.4),
        ("1NN", "clean", float("nan"), "exact", "", 200, 0.355),
        ("1NN", "Linf", 8 / 255, "exact", "exact in box", 200, 0.05),
    ]
    return pd.DataFrame(rows, columns=["classifier", "measure", "epsilon", "kind", "method", "n", "accuracy"])


def test_a_claim_has_robustbenchs_fields_and_only_what_is_given_of_the_rest():
    found = model_info(table(STANDARD), "net", "Linf", authors="they", additional_data=False)
    assert tuple(found) == FIELDS
    assert {name: found[name] for name in ("name", "eps", "clean_acc", "reported", "autoattack_acc")} == {
        "name": "net", "eps": "8/255", "clean_acc": "84.50", "reported": "40.00", "autoattack_acc": "40.00",
    }  # fmt: skip
    assert (found["authors"], found["additional_data"], found["venue"]) == ("they", False, None)
    assert found["footnote"] == f"Linf, attacked by {STANDARD} on 200 images: an upper bound"


def test_no_other_attack_counts_as_autoattack():
    for method in ("apgd-ce + apgd-margin", "apgd-ce-autoattack + apgd-margin + fab-t + square"):
        found = model_info(table(method), "net", "Linf")
        assert (found["autoattack_acc"], found["reported"]) == (None, "40.00")


def test_what_was_not_attacked_and_fields_of_other_names_are_refused():
    with pytest.raises(DataError, match="1NN: expected a network that was attacked in Linf, .*, got exact"):
        model_info(table(STANDARD), "1NN", "Linf")
    with pytest.raises(DataError, match="net: expected a network that was attacked in L2, .*, got no such row"):
        model_info(table(STANDARD), "net", "L2")
    with pytest.raises(DataError, match="clean_acc: expected fields of link, authors, .*, got another"):
        model_info(table(STANDARD), "net", "Linf", clean_acc="100")


@pytest.mark.parametrize(("epsilon", "text"), [(8 / 255, "8/255"), (0.5, "0.5"), (0.3, "0.3"), (1.7388, "1.7388")])
def test_an_epsilon_is_written_in_255ths_where_it_is_some(epsilon, text):
    assert epsilon_text(epsilon) == text
