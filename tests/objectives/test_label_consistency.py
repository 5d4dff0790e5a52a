from functools import partial

import pytest
import torch
from helpers import BATCH, FREQUENCIES, NUM_LABELS, assert_mean_close, seeded
from pyro.infer import SVI
from pyro.optim import Adam
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

from ccvae_pyro import Binary, Categorical, Continuous, ExactCCVAE_ELBO, mnist
from ccvae_pyro.objectives.label_consistency import label_consistency

OF_THE_MODEL, OF_THE_GUIDE = ("decoder", "conditional_prior"), ("encoder", "classifier")


@pytest.fixture
def x(batch):
    return batch[0]


def test_a_guide_that_sees_nothing_is_as_sure_as_its_bias(ccvae, x):
    ccvae.classifier.weight.data.zero_()
    bias, frequency = ccvae.classifier.bias.detach(), torch.tensor(FREQUENCIES[:NUM_LABELS])
    expected = frequency * logsigmoid(bias) + (1 - frequency) * logsigmoid(-bias)
    estimate = partial(label_consistency, ccvae.model, ccvae.guide, x)
    assert_mean_close(lambda: estimate().item(), BATCH * expected.sum(), num_estimates=400)


def test_images_that_show_their_labels_leave_no_doubt(ccvae, x):
    """Characteristics far apart, written into the image, read off it again."""
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
    """The same, put together of the parts."""
    y = ccvae.label_prior().sample((len(x),))
    z_c, z_style = ccvae.conditional_prior(y).rsample(), ccvae.style_prior().sample((len(x),))
    image = ccvae.decoder(torch.cat([z_c, z_style], dim=-1)).mean
    return ccvae.classifier(ccvae.encoder(image)[0].rsample()).log_prob(y).sum()


def test_is_a_term_of_the_objective_from_a_quarter_as_many_images(ccvae, batch):
    plain, with_orders = ExactCCVAE_ELBO(20.0), ExactCCVAE_ELBO(20.0, consistency_weight=3.0)
    bound = seeded(plain.loss, ccvae.model, ccvae.guide, *batch)
    with torch.no_grad():  # with the random numbers that the bound has left
        log_q = 4 * label_consistency(ccvae.model, ccvae.guide, batch[0][: BATCH // 4])
    loss = seeded(with_orders.loss, ccvae.model, ccvae.guide, *batch)
    assert_close(loss, bound - 3 * log_q.item())


def test_all_ways_to_the_loss_agree(ccvae, batch):
    elbo = ExactCCVAE_ELBO(20.0, consistency_weight=3.0, num_particles=2)
    losses = [
        seeded(elbo.loss, ccvae.model, ccvae.guide, *batch),
        seeded(elbo.loss_and_grads, ccvae.model, ccvae.guide, *batch),
        seeded(elbo.differentiable_loss, ccvae.model, ccvae.guide, *batch).item(),
    ]
    assert_close(losses, [losses[0]] * 3)


def test_needs_no_labels(ccvae, x):
    loss = ExactCCVAE_ELBO(consistency_weight=3.0).differentiable_loss(ccvae.model, ccvae.guide, x)
    loss.backward()
    assert ccvae.conditional_prior.loc_true.grad.abs().min() > 0


def test_a_model_learns_to_obey_its_guide(ccvae, x):
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


def test_particles_come_one_by_one():
    with pytest.raises(ValueError, match="one by one"):
        ExactCCVAE_ELBO(consistency_weight=1.0, num_particles=2, vectorize_particles=True)
