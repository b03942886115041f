"""Balls around images: steps and projections against their definitions."""

import pytest
import torch

from nnrobust.networks.ball import inner_radius, norms, project, steepest
from nnrobust.threat import DUAL, ORDER, ThreatModel

SHAPE = (2, 50, 3, 4, 4)
EPSILON = torch.tensor([0.1, 0.4]).view(-1, 1, 1, 1, 1)


def draws(seed):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_steepest_step_has_its_length_and_raises_a_linear_function_by_the_dual_norm(norm):
    gradient = draws(0)
    step = steepest(gradient, EPSILON, norm)
    torch.testing.assert_close(norms(step, ORDER[norm]), EPSILON.expand(2, 50, 1, 1, 1))
    rise = (gradient * step).sum(dim=(-3, -2, -1), keepdim=True)
    torch.testing.assert_close(rise, EPSILON * norms(gradient, DUAL[norm]))
    assert not steepest(torch.zeros(SHAPE), EPSILON, norm).any()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_points_land_in_ball_and_box_and_stay_where_they_are_inside(norm):
    images = draws(1).sigmoid()
    moved = project(images + draws(2), images, EPSILON, norm)
    assert ((moved >= 0) & (moved <= 1)).all()
    assert (norms(moved - images, ORDER[norm]) <= EPSILON + 1e-6).all()
    inside = (images + steepest(draws(2), EPSILON / 2, norm)).clamp(0, 1)
    torch.testing.assert_close(project(inside, images, EPSILON, norm), inside)


def test_float32_points_at_the_inner_radius_are_inside_for_float64():
    threat, images = ThreatModel("Linf", 8 / 255), torch.arange(256).float().view(-1, 1, 1, 1) / 255
    points = project(images + 1, images, inner_radius(threat), "Linf")
    offset = points.double() - torch.arange(256).double().view(-1, 1, 1, 1) / 255
    assert (offset <= threat.epsilon).all()
