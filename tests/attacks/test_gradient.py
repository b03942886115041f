"""Attack objectives against hand-computed values and against AutoAttack's."""

import pytest
import torch

from nnrobust.attacks.gradient import cross_entropy, logit_ratio, margin, targeted_logit_ratio

LOGITS = torch.tensor([[2.0, 0.5, 1.0, -1.0], [0.0, 3.0, 2.5, 1.0]])
TARGETS, AIMS = torch.tensor([0, 2]), torch.tensor([1, 0])


def test_hand_computed_values():
    assert margin(LOGITS, TARGETS, AIMS).tolist() == [-1.0, 0.5]
    assert logit_ratio(LOGITS, TARGETS, AIMS).tolist() == pytest.approx([-1.0 / 1.5, 0.5 / 2.0])
    assert targeted_logit_ratio(LOGITS, TARGETS, AIMS).tolist() == pytest.approx(
        [-1.5 / (2 - 0.5 * (0.5 - 1)), -2.5 / (3 - 0.5 * (1 + 0))]
    )
    assert cross_entropy(torch.zeros(1, 4), TARGETS[:1], AIMS[:1]).tolist() == pytest.approx([1.3862944])


def test_a_margin_above_zero_is_a_fooled_network():
    logits = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(200) % 5
    assert torch.equal(margin(logits, targets, targets) > 0, logits.argmax(1) != targets)


def test_the_ratios_are_autoattacks():
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted

    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    targets, aims = torch.arange(50) % 6, (torch.arange(50) + 2) % 6
    untargeted = APGDAttack(None, eps=0.1)
    torch.testing.assert_close(logit_ratio(logits, targets, aims), untargeted.dlr_loss(logits, targets))
    targeted = APGDAttack_targeted(None, eps=0.1)
    targeted.y_target = aims
    torch.testing.assert_close(targeted_logit_ratio(logits, targets, aims), targeted.dlr_loss_targeted(logits, targets))


def test_ratios_do_not_change_with_scale_or_shift():
    for objective in (logit_ratio, targeted_logit_ratio):
        torch.testing.assert_close(objective(3 * LOGITS + 1, TARGETS, AIMS), objective(LOGITS, TARGETS, AIMS))
