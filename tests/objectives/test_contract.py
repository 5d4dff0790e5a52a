"""What holds for every objective: the contract that Pyro expects of an ELBO."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import (
    BATCH,
    NUM_LABELS,
    NUM_PIXELS,
    assert_mean_close,
    make_ccvae,
    seeded,
)
from objective_cases import (
    ALL,
    EXACT,
    MODELS,
    OF_THE_PAPER,
    SUMS_OF_ELBOS,
    Case,
    cases,
    diva,
    exact_with_weights,
    make_diva,
    paper,
    paper_true_gradient,
)
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import Adam
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, objectives


def gradients(elbo, module, model, guide, batch):
    """The gradient of each parameter under a fixed seed; None, if it is not reached."""
    module.zero_grad()
    seeded(elbo.loss_and_grads, model, guide, *batch)
    return {
        name: None if parameter.grad is None else parameter.grad.clone()
        for name, parameter in module.named_parameters()
    }


def assert_all_entrances_agree(elbo, case):
    module, batch = case.make_model(), case.batch
    args = (module.model, module.guide, *batch)
    svi = SVI(module.model, module.guide, Adam({"lr": 0.0}), loss=elbo)
    loss = seeded(elbo.loss, *args)
    assert_close(seeded(elbo.differentiable_loss, *args).item(), loss)
    assert_close(seeded(elbo.loss_and_grads, *args), loss)
    assert_close(seeded(elbo(*args[:2]), *batch).item(), loss)
    assert_close(seeded(svi.evaluate_loss, *batch), loss)
    assert_close(seeded(svi.step, *batch), loss)


class Hidden(poutine.messenger.Messenger):
    """Hides a site from what looks on: it is sampled, and not recorded."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def _process_message(self, msg):
        if msg["name"] == self.name:
            msg["stop"] = True
            msg["is_observed"] = False
        super()._process_message(msg)


MISSING_SITES = {
    "labels of the guide": ("guide", "y", r"the guide has no sample site 'y': found 'z_c', 'z_s"),
    "style of the guide": (
        "guide",
        "z_style",
        "the guide has no sample site 'z_style': found 'z_",
    ),
    "labels of the model": (
        "model",
        "y",
        "the model has no sample site 'y': found 'z_c', 'z_styl",
    ),
}


@pytest.mark.parametrize("site", MISSING_SITES)
@pytest.mark.parametrize("pattern", ["labeled", "unlabeled"])
@pytest.mark.parametrize("objective", [*OF_THE_PAPER, *EXACT, diva])
def test_a_site_that_there_is_not_is_one_line(objective, pattern, site):
    whose, name, message = MISSING_SITES[site]
    case = Case(objective, make_diva if objective is diva else make_ccvae, pattern)
    module = case.make_model()
    functions = {"model": module.model, "guide": module.guide}
    functions[whose] = Hidden(name)(functions[whose])
    with pytest.raises(ValueError, match=message) as error:
        objective().loss(*functions.values(), *case.batch)
    assert "\n" not in str(error.value)


def test_a_guide_without_characteristics_is_one_line():
    case = Case(paper, make_ccvae, "labeled")
    module = case.make_model()
    for objective, message in (
        (paper, "the guide has no sample site 'z_c': found 'y', 'z_style'"),
        (ExactCCVAE_ELBO, "AffineLabels of a tensor that no latent of the guide returned"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            objective().loss(module.model, Hidden("z_c")(module.guide), *case.batch)
        assert "\n" not in str(error.value)


def test_generated_images_need_a_site_of_images():
    module = make_ccvae()
    x, _ = Case(paper, make_ccvae, "labeled").batch
    with pytest.raises(ValueError, match="the model has no sample site 'x': found 'y', 'z_c', 'z"):
        objectives.label_consistency(Hidden("x")(module.model), module.guide, x)


@pytest.mark.parametrize("case", cases(*ALL))
def test_all_entrances_agree(case):
    assert_all_entrances_agree(case.objective(), case)


@pytest.mark.parametrize("vectorize", [False, True], ids=["loop", "vectorized"])
@pytest.mark.parametrize("case", cases(*OF_THE_PAPER, ExactCCVAE_ELBO, diva))
def test_all_entrances_agree_for_several_particles(case, vectorize):
    elbo = case.objective(num_particles=3, vectorize_particles=vectorize)
    assert_all_entrances_agree(elbo, case)


@pytest.mark.parametrize("case", cases(exact_with_weights))
def test_all_entrances_agree_for_particles_that_are_run_one_by_one(case):
    assert_all_entrances_agree(case.objective(num_particles=3), case)


@pytest.mark.parametrize("case", cases(*OF_THE_PAPER, *EXACT, diva))
def test_particles_are_averaged(case):
    """Three particles are the mean of three evaluations in a row."""
    module, batch = case.make_model(), case.batch
    one, three = case.objective(), case.objective(num_particles=3)
    actual = seeded(three.loss, module.model, module.guide, *batch)
    pyro.set_rng_seed(1)
    expected = sum(one.loss(module.model, module.guide, *batch) for _ in range(3)) / 3
    assert_close(actual, expected)


@pytest.mark.parametrize("make_elbo", [paper, ExactCCVAE_ELBO])
@pytest.mark.parametrize("pattern", ["labeled", "mixed"])
def test_vectorized_particles_are_averaged(make_elbo, pattern):
    """To five standard errors: they take their random numbers in another order."""
    case = Case(make_elbo, make_ccvae, pattern)
    module, batch = case.make_model(), case.batch
    one, many = make_elbo(), make_elbo(num_particles=2_000, vectorize_particles=True)
    actual = many.loss(module.model, module.guide, *batch)
    assert_mean_close(lambda: one.loss(module.model, module.guide, *batch), actual, 200)


@pytest.mark.parametrize("case", cases(*ALL))
def test_the_gradient_reaches_every_parameter(case):
    module = case.make_model()
    reached = gradients(case.objective(), module, module.model, module.guide, case.batch)
    expected = {name for name, _ in module.named_parameters()}
    assert {name for name, g in reached.items() if g is not None and g.any()} == expected


# The gradient of `paper` is not that of its value, and neither is that of label consistency.
@pytest.mark.parametrize("case", cases(paper_true_gradient, ExactCCVAE_ELBO, diva, *SUMS_OF_ELBOS))
def test_the_gradient_is_that_of_finite_differences(case):
    module, batch, elbo = case.make_model(), case.batch, case.objective()
    actual = gradients(elbo, module, module.model, module.guide, batch)
    step = 1e-5
    for name, parameter in module.named_parameters():
        start, direction = parameter.data.clone(), torch.randn_like(parameter)
        losses = []
        for sign in (1, -1):
            parameter.data.copy_(start + sign * step * direction)
            losses.append(seeded(elbo.loss, module.model, module.guide, *batch))
        parameter.data.copy_(start)
        slope = (losses[0] - losses[1]) / (2 * step)
        along = (actual[name] * direction).sum().item()
        assert along == pytest.approx(slope, rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("case", cases(*ALL))
def test_is_linear_in_scale(case):
    module, batch, elbo = case.make_model(), case.batch, case.objective()
    model, guide = (poutine.scale(part, scale=3.0) for part in (module.model, module.guide))
    actual = seeded(elbo.loss, model, guide, *batch)
    assert_close(actual, 3 * seeded(elbo.loss, module.model, module.guide, *batch))


@pytest.mark.parametrize("case", cases(*OF_THE_PAPER, ExactCCVAE_ELBO, diva))
def test_masked_images_count_nothing(case):
    module, (x, *y), elbo = case.make_model(), case.batch, case.objective()
    keep = torch.tensor([True, True, False, False])
    model, guide = (poutine.mask(part, mask=keep) for part in (module.model, module.guide))
    other = torch.cat([x[:2], torch.rand(2, NUM_PIXELS)])
    other_y = [torch.cat([each[:2], each[2:] + case.y[:2] - case.y[2:]]) for each in y]
    actual = gradients(elbo, module, model, guide, (x, *y))
    expected = gradients(elbo, module, model, guide, (other, *other_y))
    # The nodes of a quadrature follow all images of a batch: samples differ by up to 1e-4.
    tolerance = {"atol": 1e-3, "rtol": 1e-2} if case.objective is ExactCCVAE_ELBO else {}
    for name, gradient in actual.items():
        assert_close(gradient, expected[name], **tolerance)


@pytest.mark.parametrize("case", cases(*OF_THE_PAPER, ExactCCVAE_ELBO, diva))
def test_a_step_encodes_and_decodes_each_image_once(case):
    module, sizes = case.make_model(), []
    for part in (module.encoder.features, module.decoder.features):
        part.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    svi = SVI(module.model, module.guide, Adam({"lr": 1e-3}), loss=case.objective())
    svi.step(*case.batch)
    assert sizes == [BATCH, BATCH]


@pytest.mark.parametrize("case", cases(*OF_THE_PAPER, ExactCCVAE_ELBO))
def test_a_model_may_nest_another_plate(case):
    """The pixels are in a plate of their own, to the left of that of the images."""
    ccvae, batch = case.make_model(), case.batch

    def model(x, y=None):
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", ccvae.label_prior(), obs=y)
            z_c = pyro.sample("z_c", ccvae.conditional_prior(y))
            z_style = pyro.sample("z_style", ccvae.style_prior())
            loc = ccvae.decoder(torch.cat([z_c, z_style], -1)).mean.T
            with pyro.plate("pixels", len(loc), dim=-2):
                pyro.sample("x", dist.Laplace(loc, 1.0), obs=x.T)

    losses = [
        seeded(case.objective(max_plate_nesting=2).loss, model, ccvae.guide, *batch),
        seeded(case.objective(max_plate_nesting=1).loss, ccvae.model, ccvae.guide, *batch),
    ]
    assert_close(*losses)


@pytest.mark.parametrize("case", cases(*OF_THE_PAPER, *EXACT))
def test_leaves_the_batch_as_it_was(case):
    module, batch = case.make_model(), case.batch
    before = [tensor.clone() for tensor in batch]
    case.objective().loss_and_grads(module.model, module.guide, *batch)
    assert_close(list(batch), before, equal_nan=True)


@pytest.mark.parametrize("elbo", [CCVAE_ELBO(), ExactCCVAE_ELBO(2.0)], ids=["paper", "exact"])
@pytest.mark.parametrize("make_model", MODELS.values(), ids=MODELS)
def test_images_without_labels_are_images_whose_labels_are_missing(elbo, make_model):
    module, x = make_model(), torch.rand(BATCH, NUM_PIXELS)
    num_labels = NUM_LABELS if make_model is make_ccvae else 5
    missing = torch.full((BATCH, num_labels), torch.nan)
    args = (module, module.model, module.guide)
    without, given = (gradients(elbo, *args, batch) for batch in ((x,), (x, missing)))
    for name, gradient in without.items():
        assert_close(gradient, given[name])
    losses = [seeded(elbo.loss, *args[1:], *batch) for batch in ((x,), (x, missing))]
    assert_close(*losses)
