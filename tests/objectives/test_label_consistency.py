"""Label consistency: its value, its gradient, and its term in the exact objective."""

from functools import partial

import pytest
import torch
from helpers import BATCH, FREQUENCIES, NUM_LABELS, assert_mean_close, seeded
from pyro.infer import SVI
from pyro.optim import Adam
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, Continuous, ExactCCVAE_ELBO, mnist
from ccvae_pyro.objectives import label_consistency

OF_THE_MODEL, OF_THE_GUIDE = ("decoder", "conditional_prior"), ("encoder", "classifier")


@pytest.fixture
def x(batch):
    return batch[0]


def test_a_classifier_that_ignores_the_image_has_the_probabilities_of_its_bias(ccvae, x):
    ccvae.classifier.weight.data.zero_()
    bias, prevalence = ccvae.classifier.bias.detach(), torch.tensor(FREQUENCIES[:NUM_LABELS])
    expected = prevalence * logsigmoid(bias) + (1 - prevalence) * logsigmoid(-bias)
    estimate = partial(label_consistency, ccvae.model, ccvae.guide, x)
    assert_mean_close(lambda: estimate().item(), BATCH * expected.sum(), num_estimates=400)


def test_is_zero_for_images_that_show_their_labels(ccvae, x):
    """The latents are far apart, the decoder copies them to pixels, and the encoder back."""
    ccvae.conditional_prior.loc_true.data.fill_(50.0)
    ccvae.conditional_prior.loc_false.data.fill_(-50.0)
    ccvae.decoder.features = torch.nn.Linear(5, x.shape[1])
    torch.nn.init.eye_(ccvae.decoder.features.weight)
    ccvae.encoder.features = torch.nn.Linear(x.shape[1], 10)
    ccvae.encoder.features.weight.data.copy_(200 * torch.eye(10, x.shape[1]))
    ccvae.encoder.features.bias.data.fill_(-100.0)
    ccvae.classifier.weight.data.fill_(1.0)
    assert label_consistency(ccvae.model, ccvae.guide, x).item() > -1e-6


def test_the_gradient_is_that_of_the_model_with_the_guide_fixed(ccvae, x):
    seeded(label_consistency, ccvae.model, ccvae.guide, x).backward()
    found = {name: p.grad for name, p in ccvae.named_parameters()}
    assert all(found[name] is None for name in found if name.startswith(OF_THE_GUIDE))

    ccvae.zero_grad()
    for name, parameter in ccvae.named_parameters():
        parameter.requires_grad_(name.startswith(OF_THE_MODEL))
    seeded(by_hand, ccvae, x).backward()
    for name, parameter in ccvae.named_parameters():
        if name.startswith(OF_THE_MODEL):
            assert_close(found[name], parameter.grad)


def by_hand(ccvae, x):
    """The same from the model's parts."""
    y = ccvae.label_prior().sample((len(x),))
    z_c, z_style = ccvae.conditional_prior(y).rsample(), ccvae.style_prior().sample((len(x),))
    image = ccvae.decoder(torch.cat([z_c, z_style], dim=-1)).mean
    return ccvae.classifier(ccvae.encoder(image)[0].rsample()).log_prob(y).sum()


def test_is_a_term_of_the_objective_from_a_quarter_as_many_images(ccvae, batch):
    plain, with_consistency = ExactCCVAE_ELBO(20.0), ExactCCVAE_ELBO(20.0, consistency_weight=3.0)
    bound = seeded(plain.loss, ccvae.model, ccvae.guide, *batch)
    with torch.no_grad():  # continues the random numbers of the bound
        log_q = 4 * label_consistency(ccvae.model, ccvae.guide, batch[0][: BATCH // 4])
    loss = seeded(with_consistency.loss, ccvae.model, ccvae.guide, *batch)
    assert_close(loss, bound - 3 * log_q.item())


def test_needs_no_labels(ccvae, x):
    loss = ExactCCVAE_ELBO(consistency_weight=3.0).differentiable_loss(ccvae.model, ccvae.guide, x)
    loss.backward()
    assert ccvae.conditional_prior.loc_true.grad.abs().min() > 0


def test_a_decoder_learns_to_show_the_labels(ccvae, x):
    many = x.repeat(50, 1)
    before = label_consistency(ccvae.model, ccvae.guide, many).item()
    adam = torch.optim.Adam(ccvae.decoder.parameters(), 0.02)
    for _ in range(150):
        adam.zero_grad()
        (-label_consistency(ccvae.model, ccvae.guide, many)).backward()
        adam.step()
    assert label_consistency(ccvae.model, ccvae.guide, many).item() > 0.9 * before


def test_takes_labels_of_any_kind():
    labels = [Binary("Hat"), Categorical("Hair", ("black", "red", "grey")), Continuous("Age")]
    model = mnist(z_dim=8, labels=labels)
    elbo = ExactCCVAE_ELBO(5.0, consistency_weight=2.0)
    svi = SVI(model.model, model.guide, Adam({"lr": 1e-3}), loss=elbo)
    y = torch.tensor([[0.0, 2.0, 0.3], [1.0, torch.nan, -0.4]])
    assert torch.tensor([svi.step(torch.rand(2, 1, 28, 28), y) for _ in range(2)]).isfinite().all()


def test_particles_are_not_vectorized():
    with pytest.raises(ValueError, match="one by one"):
        ExactCCVAE_ELBO(consistency_weight=1.0, num_particles=2, vectorize_particles=True)


def test_labels_of_a_tree_are_sampled_by_their_marginals(monkeypatch):
    torch.manual_seed(0)
    hat = (torch.rand(400, 1) < 0.5).double()
    labels = [ccvae_pyro.Binary(name) for name in ("hat", "hair")]
    y = torch.cat([hat, 1 - hat], 1)  # never both, never neither
    y[:4] = torch.tensor([[0, 0], [1, 1], [0, 1], [1, 0]])
    prior = ccvae_pyro.components.ChowLiuLabelPrior.fit(y, labels)
    assert prior.edges or prior.exclusive
    ccvae = ccvae_pyro.mnist(labels=labels, z_dim=4, label_prior=prior, convolutions=False)
    seen = []
    original = type(ccvae).guide
    monkeypatch.setattr(
        type(ccvae), "guide", lambda self, x, y=None: seen.append(y) or original(self, x, y)
    )
    label_consistency(ccvae.model, ccvae.guide, torch.zeros(200, 1, 28, 28))
    assert 0.3 < (seen[0][:, 0] == seen[0][:, 1]).double().mean() < 0.7
