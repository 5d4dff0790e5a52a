"""The classifier alone: what labels can be read off images by without a model of these."""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm import tqdm

from ccvae_pyro.data.batches import Batches
from ccvae_pyro.distributions.label_vector import observed_log_probs
from ccvae_pyro.evaluation.label_metrics import balanced, mean_of_known
from ccvae_pyro.interventions.edit import generate
from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.labels import Continuous
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.ccvae import CCVAE

NOISE = 0.03  # on the images, so that a reader is not put off by those that a decoder makes


def train_classifier(
    ccvae: CCVAE, batches: Batches, num_epochs: int, learning_rate: float = 1e-3
) -> None:
    r"""Trains encoder and classifier by the cross-entropy of the labels that are known.

    .. math:: \sum_{i \text{ known}} \log q_\varphi(y_i \mid z_c = \mathbb{E}_{q_\phi}[z_c \mid x])

    Decoder and priors stay as they are. It is what a semi-supervised model has to beat, and, on
    images and labels in full, a reader of what another model generates.

    :param learning_rate: Adam's.
    """
    parameters = [*ccvae.encoder.parameters(), *ccvae.classifier.parameters()]
    adam = torch.optim.Adam(parameters, learning_rate)
    bar = tqdm(total=num_epochs * len(batches), desc="classifier", unit="batch")
    with bar:
        for epoch in range(1, num_epochs + 1):
            for x, y in batches.epoch(epoch):
                num_known = (~y.isnan()).sum(dim=1)
                x, y = x[num_known > 0], y[num_known > 0]
                z_c, _ = ccvae.encoder(x + NOISE * torch.randn_like(x))
                log_probs = observed_log_probs(ccvae.classifier(z_c.mean), y)
                loss = -log_probs.sum() / num_known.sum()
                adam.zero_grad()
                loss.backward()
                adam.step()
                bar.update()


@torch.no_grad()
def conditional_generation_accuracy(model: ImageModel, reader: ImageModel, y: Tensor) -> float:
    """How often a reader finds the labels that images were generated to, balanced and averaged.

    Labels that are numbers are left out, and those of which all orders are alike.

    :param reader: trained by :func:`train_classifier` on images and labels of the kind.
    :param y: labels to generate to, shape ``(batch, num_labels)``, best those of images held out.
    """
    read, _ = predict(reader, generate(model, y))
    columns = zip(model.labels, y.cpu().numpy().T, read.cpu().numpy().T, strict=True)
    scores = [
        balanced(truth, answer)
        for label, truth, answer in columns
        if not isinstance(label, Continuous)
    ]
    return mean_of_known(scores)
