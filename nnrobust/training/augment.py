"""The random crop and flip of training images, on the device that holds them."""

import torch
from torch import Tensor
from torch.nn import functional as F

CROP_PADDING = 4
"""Pixels of zero padding before the random crop. Source: arXiv 2010.00467, section 3."""


def crop_and_flip(images: Tensor, draws: Tensor) -> Tensor:
    """Each image (g, n, c, h, w) cropped out of its zero-padded self, and mirrored with probability 1/2.

    `draws` (g, 3, n) are uniform in [0, 1): they decide top, left and mirror image of each.
    """
    g, n, _, height, width = images.shape
    padded = F.pad(images, (CROP_PADDING,) * 4)
    top, left = (draws[:, :2] * (2 * CROP_PADDING + 1)).long().unbind(dim=1)
    rows = top[:, :, None] + torch.arange(height, device=images.device)
    columns = left[:, :, None] + torch.arange(width, device=images.device)
    columns = torch.where(draws[:, 2, :, None] < 0.5, columns.flip(-1), columns)
    g_index = torch.arange(g, device=images.device).view(g, 1, 1, 1)
    n_index = torch.arange(n, device=images.device).view(1, n, 1, 1)
    return padded.permute(0, 1, 3, 4, 2)[g_index, n_index, rows[..., None], columns[:, :, None]].permute(0, 1, 4, 2, 3)
