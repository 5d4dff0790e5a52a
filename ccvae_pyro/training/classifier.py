"""Supervised training of encoder and classifier, without the generative model."""

from __future__ import annotations

import torch
from tqdm.auto import tqdm

from ccvae_pyro.data import Batches
from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.distributions.label_vector import observed_log_probs
from ccvae_pyro.labels import check_same_labels
from ccvae_pyro.models import CCVAE

# Standard deviation of the noise on the images: it makes the classifier robust to the small errors
# of images that a decoder generates.
IMAGE_NOISE = 0.03


def train_classifier(
    ccvae: CCVAE,
    batches: Batches,
    num_epochs: int,
    learning_rate: float = 1e-3,
    *,
    seed: int | None = None,
) -> None:
    r"""Trains encoder and classifier by the cross-entropy of the known labels,

    .. math:: -\sum_{i \text{ known}} \log q_\varphi(y_i \mid z_c) , \qquad
        z_c = \mathbb{E}_{q_\phi}[z_c \mid x] .

    Decoder and priors do not change. It has two uses: with the labels of a semi-supervised run it
    is a trivial baseline of the classification; with all labels it gives the independent
    classifier by which edited and generated images are evaluated.

    :param ccvae: the model, trained in place.
    :param batches: the training images; those without any known label are left out.
    :param num_epochs: how many passes over the training images to take.
    :param learning_rate: the learning rate of Adam.
    :param seed: the seed of the noise on the images; by default it is from the global generator.
    :raises ValueError: if the labels of the data are not those of the model.
    """
    check_same_labels(ccvae.labels, batches.data.label_types, "the data")
    parameters = [*ccvae.encoder.parameters(), *ccvae.classifier.parameters()]
    adam = torch.optim.Adam(parameters, learning_rate)
    bar = tqdm(total=num_epochs * len(batches), desc="classifier", unit="batch")
    with seeded(seed), bar:
        for epoch in range(1, num_epochs + 1):
            for x, y in batches.epoch(epoch):
                num_known = (~y.isnan()).sum(dim=1)
                x, y = x[num_known > 0], y[num_known > 0]
                z_c, _ = ccvae.encoder(x + IMAGE_NOISE * torch.randn_like(x))
                log_probs = observed_log_probs(ccvae.classifier(z_c.mean), y)
                loss = -log_probs.sum() / num_known.sum()
                adam.zero_grad()
                loss.backward()
                adam.step()
                bar.update()
