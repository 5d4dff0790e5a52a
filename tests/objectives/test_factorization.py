"""Parts that do not factorize over labels: the exact objective and check_factorization see them.

The exact objective relies on what types declare. What declares nothing is an error there. A part
that declares what it does not hold is for :func:`~ccvae_pyro.check_factorization`.
"""

import pytest
import torch
from helpers import (
    BATCH,
    MIXED_LABEL_VECTORS,
    MIXED_LABELS,
    NUM_PIXELS,
    make_ccvae,
    make_mixed,
)
from pyro.distributions import Categorical, MixtureSameFamily, Normal, StudentT
from torch import nn
from torch.nn.functional import softplus

import ccvae_pyro
from ccvae_pyro import Continuous, ExactCCVAE_ELBO, LabelVector, check_factorization
from ccvae_pyro.distributions import (
    AffineBinary,
    AffineContinuous,
    AffineLabels,
    LabelGroup,
    LabelwisePrior,
    LogitBernoulli,
)
from ccvae_pyro.errors import NotFactorizedError

HAIR = 0  # a column of the mixed labels


def binary_batch():
    return torch.rand(BATCH, NUM_PIXELS), torch.randint(2, (BATCH, 3)).double()


def mixed_batch():
    return torch.rand(BATCH, NUM_PIXELS), torch.tensor(MIXED_LABEL_VECTORS)


def age_batch():
    return torch.rand(BATCH, NUM_PIXELS), torch.tensor([[35.0], [12], [30], [41]])


def make_age_ccvae():
    return make_mixed((Continuous("Age", 30.0, 10.0),))


# Classifiers


class Undeclared:
    """A classifier that does not say what its labels are."""

    def __init__(self, affine, bend):
        self.affine, self.bend = affine, bend

    def __call__(self, z_c):
        (group,) = self.affine(z_c).groups
        return LabelVector([LabelGroup(self.bend(group.distribution, z_c))])


def with_scale_of_latents(normal, z_c):
    """A continuous label whose standard deviation depends on the latents."""
    return Normal(normal.loc, normal.scale * softplus(z_c) / softplus(torch.zeros(())))


def with_saturating_logit(bernoulli, z_c):
    return LogitBernoulli(logits=bernoulli.logits.clamp(-4, 4), validate_args=False)


class BentLabels(AffineLabels):
    """Labels whose density is not that of their slopes and offsets."""

    bend: object

    def log_prob(self, value):
        (group,) = self.groups
        return type(self).bend(group.distribution, self.z_c).log_prob(value).sum(-1)


class LabelsWithScaleOfLatents(BentLabels):
    bend = staticmethod(with_scale_of_latents)


class LabelsWithSaturatingLogit(BentLabels):
    bend = staticmethod(with_saturating_logit)


class ContinuousWithScaleOfLatents(AffineContinuous):
    """Continuous labels whose distribution is not that of their slope, offset and scale."""

    def distribution(self, z_c):
        return with_scale_of_latents(super().distribution(z_c), self.block(z_c)[..., 0])


class BinaryWithSaturatingLogit(AffineBinary):
    def distribution(self, z_c):
        return with_saturating_logit(super().distribution(z_c), z_c)


CONTINUOUS = (make_age_ccvae, age_batch, with_scale_of_latents)
BINARY = (make_ccvae, binary_batch, with_saturating_logit)


@pytest.mark.parametrize(
    ("make_model", "make_batch", "bend"), [CONTINUOUS, BINARY], ids=["scale", "saturation"]
)
def test_a_classifier_that_declares_nothing_is_an_error(make_model, make_batch, bend):
    ccvae, (x, y) = make_model(), make_batch()
    ccvae.classifier.forward = Undeclared(ccvae.classifier.forward, bend)
    with pytest.raises(NotFactorizedError, match="declares no slopes and offsets"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    with pytest.raises(NotFactorizedError, match="wanted AffineLabels"):
        check_factorization(ccvae, x, y)


@pytest.mark.parametrize(
    ("make_model", "make_batch", "lie"),
    [
        (make_age_ccvae, age_batch, LabelsWithScaleOfLatents),
        (make_ccvae, binary_batch, LabelsWithSaturatingLogit),
    ],
    ids=["scale", "saturation"],
)
def test_labels_that_are_not_what_they_declare_are_found(make_model, make_batch, lie):
    ccvae, (x, y) = make_model(), make_batch()
    affine = ccvae.classifier.forward
    ccvae.classifier.forward = lambda z_c: lie(z_c, *affine(z_c).affine_groups)
    with pytest.raises(NotFactorizedError, match="density differs"):
        check_factorization(ccvae, x, y)


def test_continuous_labels_that_are_not_what_they_declare_are_found():
    ccvae, (x, y) = make_age_ccvae(), age_batch()
    affine = ccvae.classifier.forward

    def forward(z_c):
        (group,) = affine(z_c).affine_groups
        parameters = (group.slope[..., 0], group.offset[..., 0], group.scale)
        lie = ContinuousWithScaleOfLatents(*parameters, group.columns, group.latents)
        return AffineLabels(z_c, lie)

    ccvae.classifier.forward = forward
    with pytest.raises(NotFactorizedError, match="density differs"):
        check_factorization(ccvae, x, y)


def test_binary_labels_that_are_not_what_they_declare_are_found():
    ccvae, (x, y) = make_ccvae(), binary_batch()
    weight, bias = ccvae.classifier.weight, ccvae.classifier.bias
    ccvae.classifier.forward = lambda z_c: AffineLabels(
        z_c, BinaryWithSaturatingLogit(weight, bias)
    )
    with pytest.raises(NotFactorizedError, match="density differs"):
        check_factorization(ccvae, x, y)


def test_a_declared_scale_that_depends_on_the_latents_is_an_error():
    ccvae, (x, y) = make_age_ccvae(), age_batch()
    affine = ccvae.classifier.forward

    def forward(z_c):
        (group,) = affine(z_c).affine_groups
        slope, offset = group.slope[..., 0], group.offset[..., 0]
        scale = group.scale * softplus(z_c)
        return AffineLabels(
            z_c, AffineContinuous(slope, offset, scale, group.columns, group.latents)
        )

    ccvae.classifier.forward = forward
    with pytest.raises(NotFactorizedError, match="of 'y' of the guide depend on 'z_c'"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    with pytest.raises(NotFactorizedError, match="density differs"):
        check_factorization(ccvae, x, y)


def test_a_slope_that_depends_on_the_latents_of_one_image_is_found():
    """The objective cannot notice it: the slope has no dimension of images."""
    ccvae, (x, y) = make_ccvae(), binary_batch()
    bias = ccvae.classifier.bias
    ccvae.classifier.forward = lambda z_c: AffineLabels(
        z_c, AffineBinary(z_c.flatten(0, -2)[0] ** 2, bias)
    )
    with pytest.raises(NotFactorizedError, match="density differs"):
        check_factorization(ccvae, x, y)


# Conditional priors


def third_class_moves_another_label(given):
    """A prior in which the latent of "Beard" depends on whether the hair is red."""

    def moved(y):
        normal = given(y)
        shift = torch.zeros(normal.loc.shape[-1])
        shift[-1] = 1.0
        return Normal(normal.loc + shift * (y[..., [HAIR]] == 2), normal.scale)

    return moved


def test_a_prior_that_declares_nothing_is_an_error():
    ccvae, (x, y) = make_mixed(), mixed_batch()
    moved = third_class_moves_another_label(ccvae.conditional_prior.given)
    ccvae.conditional_prior.forward = lambda y: moved(y).to_event(1)
    with pytest.raises(NotFactorizedError, match="declares no factor for each label"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    with pytest.raises(NotFactorizedError, match="wanted a LabelwisePrior"):
        check_factorization(ccvae, x, y)


@pytest.mark.parametrize("hair", ["of the batch", "never red"])
def test_latents_that_depend_on_the_third_class_of_another_label_are_found(hair):
    """Also where no image of the batch has that class."""
    ccvae, (x, y) = make_mixed(), mixed_batch()
    if hair == "never red":
        y[:, HAIR] = torch.tensor([0.0, 1, 0, 1])
    prior = ccvae.conditional_prior
    moved = third_class_moves_another_label(prior.given)
    prior.forward = lambda y: LabelwisePrior(moved, y, prior.factors, len(prior.order))
    with pytest.raises(NotFactorizedError, match="not the product of the factors"):
        check_factorization(ccvae, x, y)


def test_binary_labels_that_move_the_latents_of_others_are_found():
    ccvae, (x, y) = make_ccvae(), binary_batch()
    given = ccvae.conditional_prior.given

    def mixed(y):
        normal = given(y)
        return Normal(normal.loc + 0.1 * (y.sum(-1, keepdim=True) - y), normal.scale)

    ccvae.conditional_prior.forward = lambda y: LabelwisePrior(mixed, y)
    with pytest.raises(NotFactorizedError, match="not the product of the factors"):
        check_factorization(ccvae, x, y)


def test_a_prior_whose_mean_is_curved_in_a_continuous_label_is_found():
    ccvae, (x, y) = make_age_ccvae(), age_batch()
    prior = ccvae.conditional_prior.of_group[0]
    given = prior.given
    prior.given = lambda y: given(y**2 / 30)
    with pytest.raises(NotFactorizedError, match="not the product of the factors"):
        check_factorization(ccvae, x, y)


# Parts that are what they declare


class MixturePrior(nn.Module):
    def given(self, y):
        weights = Categorical(torch.tensor([0.3, 0.7]).to(y))
        locs = torch.stack([2 * y - 1, 3 * y - 2], dim=-1)
        return MixtureSameFamily(weights, Normal(locs, 1.0))

    def forward(self, y):
        return LabelwisePrior(self.given, y)


class StudentPrior(nn.Module):
    def given(self, y):
        return StudentT(4.0, 4 * y - 2, 1 + y)

    def forward(self, y):
        return LabelwisePrior(self.given, y)


@pytest.mark.parametrize("conditional_prior", [None, MixturePrior(), StudentPrior()])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_binary_models_pass(conditional_prior, dtype):
    ccvae, (x, y) = make_ccvae(), binary_batch()
    if conditional_prior is not None:
        ccvae.conditional_prior = conditional_prior
    check_factorization(ccvae.to(dtype), x.to(dtype), y.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("num_labels", range(1, len(MIXED_LABELS) + 1))
def test_models_of_mixed_labels_pass(num_labels, dtype):
    ccvae, (x, y) = make_mixed(MIXED_LABELS[:num_labels]), mixed_batch()
    check_factorization(ccvae.to(dtype), x.to(dtype), y[:, :num_labels].to(dtype))


def test_a_model_of_digits_passes():
    digits = ccvae_pyro.Categorical("Digit", tuple("0123456789"))
    ccvae = ccvae_pyro.mnist(labels=[digits])
    check_factorization(ccvae, torch.rand(12, 1, 28, 28), torch.arange(12.0)[:, None] % 10)


def test_the_models_of_the_package_pass():
    for ccvae, shape in ((ccvae_pyro.mnist(), (1, 28, 28)), (ccvae_pyro.celeba(), (3, 64, 64))):
        x, y = torch.rand(2, *shape), ccvae.label_prior().sample((2,))
        check_factorization(ccvae, x, y)


def test_one_image_is_enough():
    ccvae, (x, y) = make_mixed(), mixed_batch()
    check_factorization(ccvae, x[:1], y[:1])
