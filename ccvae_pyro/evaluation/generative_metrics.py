"""How far generated images are from true ones, as sets: Frechet and kernel distance."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from ccvae_pyro.models.base import ImageModel


class ReadFeatures(nn.Module):
    """The latents that a model reads off images, as features by which sets are compared.

    Of a classifier that had no part in the training of what is judged, they say how like true
    images others are in what its labels are about.

    :param reader: the model.
    :param num_features: how many latents it has.
    """

    def __init__(self, reader: ImageModel, num_features: int) -> None:
        super().__init__()
        self.reader, self.num_features = reader, num_features

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self.reader.encode(x), dim=-1)


@torch.no_grad()
def image_distances(
    features: nn.Module,
    true: Iterable[Tensor],
    generated: Iterable[Tensor],
    *,
    subset_size: int = 500,
) -> dict[str, float]:
    r"""Compares two sets of images by features of these.

    .. math:: d^2 = |\mu_1 - \mu_2|^2
              + \operatorname{tr} (\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2})

    is the Frechet distance of Normals with the features' means and covariances (Heusel et al.,
    2017), an FID only if features are those of Inception; the kernel distance (Binkowski et al.,
    2018) is the squared maximum mean discrepancy under a cubic kernel, which has no bias of few
    images. Both are zero if sets are alike. Images of one kind make a baseline: half of the true
    ones against the other half.

    :param features: a network from images to shape ``(batch, num_features)``, with an attribute
        ``num_features``.
    :param true: batches of images, shape ``(batch, channels, height, width)``, in [0, 1].
    :param generated: the others, best as many.
    :param subset_size: how many images the kernel distance takes at a time; it is averaged over
        100 draws of so many.
    :returns: ``frechet`` and ``kernel``.
    :raises ValueError: if a set has fewer images than a subset.
    """
    frechet: Any = FrechetInceptionDistance(features)
    with warnings.catch_warnings():  # that it keeps all features: it has to
        warnings.filterwarnings("ignore", "Metric `Kernel")
        kernel: Any = KernelInceptionDistance(features, subsets=100, subset_size=subset_size)
    for batches, is_true in ((true, True), (generated, False)):
        num_images = 0
        for x in batches:
            for distance in (frechet, kernel):
                distance.to(x.device).update(x, real=is_true)
            num_images += len(x)
        if num_images < subset_size:
            raise ValueError(
                f"a subset has {subset_size} images, and there are {num_images}: give more, or a "
                "smaller subset_size"
            )
    return {"frechet": frechet.compute().item(), "kernel": kernel.compute()[0].item()}
