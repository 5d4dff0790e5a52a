"""What several test files share."""

import pyro
import torch

from ccvae_pyro import CCVAE, distributions, networks

NUM_LABELS, NUM_STYLE, NUM_PIXELS, BATCH = 3, 2, 8, 4
FREQUENCIES = (0.2, 0.5, 0.7, 0.4, 0.1, 0.6)
NAMES = ("Bald", "Beard", "Wearing_Hat", "Eyeglasses", "Smiling", "Gray_Hair")


def make_ccvae(num_labels: int = NUM_LABELS) -> CCVAE:
    """A CCVAE of vectors rather than images, small enough for exact checks."""
    z_dim = num_labels + NUM_STYLE
    ccvae = CCVAE(
        distributions.GaussianEncoder(
            networks.mlp(NUM_PIXELS, 2 * z_dim, hidden=16), (num_labels, NUM_STYLE)
        ),
        distributions.LaplaceDecoder(networks.mlp(z_dim, NUM_PIXELS, hidden=16), event_dim=1),
        distributions.DiagonalClassifier(num_labels),
        distributions.GaussianConditionalPrior(num_labels),
        distributions.StandardNormal(NUM_STYLE),
        distributions.BernoulliLabelPrior(torch.tensor(FREQUENCIES[:num_labels])),
        label_names=NAMES[:num_labels],
    )
    # Away from the symmetric start, where some mistakes would cancel.
    for parameter in ccvae.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return ccvae


def seeded(function, *args):
    """Calls a function after setting the seed."""
    pyro.set_rng_seed(1)
    return function(*args)


def assert_mean_close(estimate, expected, num_estimates=40):
    """The mean of an estimator is the expected value, to five standard errors."""
    estimates = torch.tensor([estimate() for _ in range(num_estimates)])
    error = 5 * estimates.std().item() / num_estimates**0.5
    torch.testing.assert_close(estimates.mean().item(), float(expected), atol=error, rtol=0)
