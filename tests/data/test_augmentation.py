"""Random shifts and warps."""

import numpy as np
import torch
from torch.testing import assert_close

from ccvae_pyro.data.augmentation import sample_transforms, transform_images


def test_each_image_is_warped_by_its_own_affine_map():
    # The values of this image are the positions of its pixels, relative to the center.
    positions = (torch.arange(20.0) + 0.5) - 10
    down, right = torch.meshgrid(positions, positions, indexing="ij")
    x = torch.stack([right, down]).expand(50, 2, 20, 20)
    transforms = sample_transforms(50, 2, 0.2, np.random.default_rng(0))
    came_from = transform_images(x, transforms)[:, :, 6:14, 6:14].flatten(2)
    inner = torch.stack([right, down, torch.ones(20, 20)])[:, 6:14, 6:14].flatten(1)
    maps = came_from @ torch.linalg.pinv(inner)  # (image, right or down, right and down and 1)
    assert_close(maps @ inner, came_from)
    matrices, shifts = maps[:, :, :2] - torch.eye(2), maps[:, :, 2]
    assert 0.15 < matrices.abs().amax(0).min() < matrices.abs().max() < 0.2
    assert 1.5 < shifts.abs().amax(0).min() < shifts.abs().max() < 2
    assert matrices.std(0).min() > 0.08
