"""Quality of generated images: conditional generation accuracy, Frechet and kernel distance."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.evaluation.edit_metrics import check_oracle
from ccvae_pyro.evaluation.label_metrics import balanced_accuracy, mean_of_known
from ccvae_pyro.interventions import generate, predict
from ccvae_pyro.labels import Continuous, Label
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel, evaluation


@dataclass(frozen=True)
class ImageDistances:
    """Distances between two sets of images, zero if the sets have the same distribution.

    :param frechet: the Frechet distance.
    :param kernel: the squared maximum mean discrepancy under a cubic kernel.
    """

    frechet: float
    kernel: float


@evaluation
def conditional_generation_accuracy(
    model: ImageModel,
    oracle: ImageModel,
    y: Tensor,
    *,
    sampler: str | None = None,
    seed: int | None = 0,
) -> float:
    """The accuracy of an oracle classifier on images generated from given labels.

    It is the balanced accuracy, averaged over labels. Continuous labels are left out, and so are
    labels that have only one value in ``y``.

    :param oracle: an independent classifier of the same labels, trained on real images.
    :param y: labels to generate images from, shape ``(batch, num_labels)``, preferably those of
        held-out images.
    :param sampler: as in :func:`~ccvae_pyro.generate`.
    :param seed: the seed of the samples; None samples by the global generator.
    :returns: NaN if no label has two values.
    :raises ValueError: if the oracle has other labels than the model.
    """
    check_oracle(model, oracle)
    y = model.checked_labels(y)
    with seeded(seed):
        predicted, _ = predict(oracle, generate(model, y, sampler=sampler))
    return mean_balanced_accuracy(model.labels, y, predicted)


def mean_balanced_accuracy(labels: Sequence[Label], y: Tensor, predicted: Tensor) -> float:
    """The balanced accuracy of predictions, averaged over all but the continuous labels."""
    columns = zip(labels, y.cpu().numpy().T, predicted.cpu().numpy().T, strict=True)
    scores = [
        balanced_accuracy(target, of_oracle)
        for label, target, of_oracle in columns
        if not isinstance(label, Continuous)
    ]
    return mean_of_known(scores)


class EncoderFeatures(nn.Module):
    """The latents of a model's encoder, as features for :func:`image_distances`.

    With an oracle classifier as the model, the distance is about what its labels describe.

    :param model: a model with an encoder.
    :param num_features: the number of its latents.
    """

    def __init__(self, model: ImageModel, num_features: int) -> None:
        super().__init__()
        self.model, self.num_features = model, num_features

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self.model.encode(x), dim=-1)


@evaluation
def image_distances(
    features: nn.Module,
    real: Iterable[Tensor],
    generated: Iterable[Tensor],
    *,
    subset_size: int = 500,
    seed: int | None = 0,
) -> ImageDistances:
    r"""The distances between two sets of images in a space of features.

    .. math:: d^2 = |\mu_1 - \mu_2|^2
              + \operatorname{tr} (\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2})

    is the Frechet distance of Normals with the features' means and covariances (Heusel et al.,
    2017). It is the FID only if the features are those of Inception. The kernel distance
    (Binkowski et al., 2018) is unbiased for small sets. Two halves of the real images make a
    baseline.

    :param features: a network from images to shape ``(batch, num_features)``, with an attribute
        ``num_features``.
    :param real: batches of images, shape ``(batch, channels, height, width)``, in [0, 1].
    :param generated: batches of the other set, preferably of the same size.
    :param subset_size: the size of the subsets that the kernel distance is computed on. It is
        averaged over 100 random subsets.
    :param seed: the seed of these subsets; None samples by the global generator.
    :raises ValueError: if a set has fewer images than a subset, or a subset fewer than two.
    """
    subset_size = plain_int(subset_size, "subset_size", minimum=2)
    # TorchMetrics takes seconds to import.
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    # On the CPU: the Frechet distance is computed in double precision, which some devices lack.
    given = _Given(features.num_features)
    frechet = FrechetInceptionDistance(given)
    with warnings.catch_warnings():  # it warns that it stores all features, which is intended
        warnings.filterwarnings("ignore", "Metric `Kernel")
        kernel = KernelInceptionDistance(given, subsets=100, subset_size=subset_size)
    for batches, is_real in ((real, True), (generated, False)):
        num_images = 0
        for x in batches:
            computed = features(x).cpu()
            frechet.update(computed, real=is_real)
            kernel.update(computed, real=is_real)
            num_images += len(x)
        if num_images < subset_size:
            raise ValueError(
                f"a subset has {subset_size} images, and there are {num_images}: give more, or a "
                "smaller subset_size"
            )
    with seeded(seed):
        return ImageDistances(frechet.compute().item(), kernel.compute()[0].item())


class _Given(nn.Module):
    """Features that are there already, in place of the network that the metrics ask for."""

    def __init__(self, num_features: Any) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
