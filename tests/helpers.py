"""What several test files share."""

import pyro
import torch

from ccvae_pyro import CCVAE, distributions, networks

NUM_LABELS, NUM_STYLE, NUM_PIXELS, BATCH = 3, 2, 8, 4


def make_ccvae() -> CCVAE:
    """A CCVAE of vectors rather than images, small enough for exact checks."""
    z_dim = NUM_LABELS + NUM_STYLE
    ccvae = CCVAE(
        distributions.GaussianEncoder(
            networks.mlp(NUM_PIXELS, 2 * z_dim, hidden=16), (NUM_LABELS, NUM_STYLE)
        ),
        distributions.LaplaceDecoder(networks.mlp(z_dim, NUM_PIXELS, hidden=16), event_dim=1),
        distributions.DiagonalClassifier(NUM_LABELS),
        distributions.GaussianConditionalPrior(NUM_LABELS),
        distributions.StandardNormal(NUM_STYLE),
        distributions.BernoulliLabelPrior(torch.tensor([0.2, 0.5, 0.7])),
        label_names=("Bald", "Beard", "Wearing_Hat"),
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
