import pytest
import torch
from helpers import BATCH, NUM_LABELS, NUM_PIXELS
from torch.testing import assert_close

from ccvae_pyro import (
    Categorical,
    Continuous,
    classify,
    edit,
    generate,
    interpolate,
    mnist,
    reconstruct,
    sample_variations,
    shift,
    swap,
    walk,
)


@torch.no_grad()
def encode(ccvae, x):
    return ccvae.encode(x)


@torch.no_grad()
def decode(ccvae, z_c, z_style):
    return ccvae.decode(z_c, z_style)


@pytest.fixture
def x(batch):
    return batch[0]


def test_classify_is_the_classifier_at_the_mean(ccvae, x):
    z_c = ccvae.encoder(x)[0].mean
    assert_close(classify(ccvae, x), ccvae.classifier(z_c).mean.detach())


def test_nothing_carries_a_gradient(ccvae, x):
    y = torch.ones(2, NUM_LABELS)
    results = [classify(ccvae, x), reconstruct(ccvae, x), generate(ccvae, y)]
    results += [edit(ccvae, x, 0, 1), swap(ccvae, x, x, 0), walk(ccvae, x, 0)]
    results += [shift(ccvae, x, 0, 1), sample_variations(ccvae, x, 0, 1), interpolate(ccvae, x, x)]
    assert not any(result.requires_grad for result in results)


@pytest.mark.parametrize("label", ["Beard", 1])
def test_edit_sets_one_characteristic_to_the_prior_mean(ccvae, x, label):
    z_c, z_style = encode(ccvae, x)
    z_c[:, 1] = ccvae.conditional_prior.loc_true[1].detach()
    assert_close(edit(ccvae, x, label, 1), decode(ccvae, z_c, z_style))


def test_a_value_between_0_and_1_interpolates_the_prior_means(ccvae, x):
    z_c, z_style = encode(ccvae, x)
    prior = ccvae.conditional_prior
    z_c[:, 1] = (0.25 * prior.loc_true + 0.75 * prior.loc_false)[1].detach()
    assert_close(edit(ccvae, x, "Beard", 0.25), decode(ccvae, z_c, z_style))


@pytest.mark.parametrize(("value", "outward"), [(0, -1), (1, 1)])
def test_an_edit_may_go_beyond_the_mean_away_from_the_other_value(ccvae, x, value, outward):
    prior = ccvae.conditional_prior
    prior.loc_true.data.copy_(prior.loc_false + 1)
    there = prior(torch.full((3,), float(value))).at_y.base_dist
    z_c, z_style = encode(ccvae, x)
    z_c[:, 1] = (there.loc + 1.5 * outward * there.scale)[1].detach()
    assert_close(edit(ccvae, x, "Beard", value, num_std=1.5), decode(ccvae, z_c, z_style))


def test_several_labels_are_edited_together(ccvae, x):
    z_c, z_style = encode(ccvae, x)
    prior = ccvae.conditional_prior
    z_c[:, 1] = prior.loc_true[1].detach()
    z_c[:, 2] = prior.loc_false[2].detach()
    together = edit(ccvae, x, {"Beard": 1, "Wearing_Hat": 0})
    assert_close(together, decode(ccvae, z_c, z_style))


def shows_its_latents(ccvae):
    """A model whose first pixels are the sigmoid of its latents."""
    ccvae.decoder.features = torch.nn.Linear(5, NUM_PIXELS)
    torch.nn.init.eye_(ccvae.decoder.features.weight)
    torch.nn.init.zeros_(ccvae.decoder.features.bias)
    return ccvae


def test_an_edited_characteristic_may_be_sampled(ccvae, x):
    x = x[:1].expand(4000, -1)
    image = edit(shows_its_latents(ccvae), x, "Beard", 1, sample=True).logit()
    prior = ccvae.conditional_prior(torch.ones(3)).at_y.base_dist
    assert_close(image[:, 1].mean(), prior.loc[1].detach(), atol=0.1, rtol=0)
    assert_close(image[:, 1].std(), prior.scale[1].detach(), atol=0.1, rtol=0.1)
    rest = [0, 2, 3, 4]
    assert_close(image[:, rest], reconstruct(ccvae, x)[:, rest].logit())


@pytest.mark.parametrize("amount", [-1.0, 0.5])
def test_a_shift_is_a_multiple_of_the_difference_of_prior_means(ccvae, x, amount):
    z_c, z_style = encode(ccvae, x)
    prior = ccvae.conditional_prior
    z_c[:, 1] += amount * (prior.loc_true - prior.loc_false)[1].detach()
    assert_close(shift(ccvae, x, "Beard", amount), decode(ccvae, z_c, z_style))


def test_a_shift_of_a_continuous_label_is_in_its_unit():
    age, hair = Continuous("Age", 40.0, 10.0), Categorical("Hair", ("black", "red", "grey"))
    model = mnist(z_dim=8, labels=[age, hair])
    x = torch.rand(2, 1, 28, 28)
    start, end = (model.latent_prior(0, value)[0] for value in (40.0, 45.0))
    z_c, z_style = encode(model, x)
    z_c[:, model.latent_slice(0)] += (end - start).detach()
    assert_close(shift(model, x, "Age", 5), decode(model, z_c, z_style))
    with pytest.raises(ValueError, match="'Hair' is categorical and cannot be shifted"):
        shift(model, x, "Hair", 1)


def test_variations_are_samples_of_one_characteristics_prior(ccvae, x):
    images = sample_variations(
        shows_its_latents(ccvae), x, "Wearing_Hat", 0, num_samples=4000
    ).logit()
    assert images.shape == (BATCH, 4000, NUM_PIXELS)
    prior = ccvae.conditional_prior(torch.zeros(3)).at_y.base_dist
    assert_close(images[0, :, 2].mean(), prior.loc[2].detach(), atol=0.1, rtol=0)
    assert_close(images[0, :, 2].std(), prior.scale[2].detach(), atol=0.1, rtol=0.1)
    rest = [0, 1, 3, 4]
    kept = reconstruct(ccvae, x)[:, None, rest].logit()
    assert_close(images[..., rest], kept.expand(-1, 4000, -1))


def test_several_characteristics_are_swapped_or_all(ccvae, x):
    donor = torch.rand_like(x)
    z_c, z_style = encode(ccvae, x)
    z_c[:, 1:] = encode(ccvae, donor)[0][:, 1:]
    assert_close(swap(ccvae, x, donor, ["Beard", "Wearing_Hat"]), decode(ccvae, z_c, z_style))
    z_c[:, 0] = encode(ccvae, donor)[0][:, 0]
    assert_close(swap(ccvae, x, donor), decode(ccvae, z_c, z_style))


def test_interpolation_is_linear_between_reconstructions(ccvae, x):
    other = torch.rand_like(x)
    images = interpolate(shows_its_latents(ccvae), x, other, num_steps=5).logit()
    assert images.shape == (BATCH, 5, NUM_PIXELS)
    ends = reconstruct(ccvae, x).logit(), reconstruct(ccvae, other).logit()
    for step, end in zip((0, 4), ends, strict=True):
        assert_close(images[:, step], end)
    assert_close(images[:, 2], (ends[0] + ends[1]) / 2)


def test_swap_takes_one_characteristic_of_the_donor(ccvae, x):
    donor = torch.rand_like(x)
    z_c, z_style = encode(ccvae, x)
    z_c[:, 2] = encode(ccvae, donor)[0][:, 2]
    assert_close(swap(ccvae, x, donor, "Wearing_Hat"), decode(ccvae, z_c, z_style))


def test_swapping_with_oneself_changes_nothing(ccvae, x):
    assert_close(swap(ccvae, x, x, "Beard"), reconstruct(ccvae, x))


def test_one_donor_serves_all(ccvae, x):
    donor = torch.rand(1, NUM_PIXELS)
    assert_close(swap(ccvae, x, donor, 0), swap(ccvae, x, donor.expand_as(x), 0))


def test_generated_images_have_the_target_labels(ccvae):
    # Characteristics far apart, and images that show them.
    ccvae.conditional_prior.loc_true.data.fill_(50.0)
    ccvae.conditional_prior.loc_false.data.fill_(-50.0)
    shows_its_latents(ccvae)
    y = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert_close(generate(ccvae, y)[:, :NUM_LABELS], y, atol=1e-6, rtol=0)


def test_walk_goes_through_both_means(ccvae, x):
    path = walk(ccvae, x, "Bald", num_steps=5)
    assert path.shape == (BATCH, 5, NUM_PIXELS)
    prior = [ccvae.conditional_prior(torch.full((1, 3), v)).at_y.base_dist for v in (0.0, 1.0)]
    ends = [(p.loc[0, 0].item(), p.scale[0, 0].item()) for p in prior]
    (low, low_scale), (high, high_scale) = ends
    sign = 1 if high > low else -1
    z_c, z_style = encode(ccvae, x)
    for step, value in [(0, low - sign * 2 * low_scale), (4, high + sign * 2 * high_scale)]:
        z_c[:, 0] = value
        assert_close(path[:, step], decode(ccvae, z_c, z_style))


def test_walk_along_two_is_a_grid_of_walks(ccvae, x):
    grid = walk(ccvae, x, ["Bald", "Wearing_Hat"], num_steps=3)
    assert grid.shape == (BATCH, 3, 3, NUM_PIXELS)
    z_c, z_style = encode(ccvae, x)
    first, second = (walk(ccvae, x, label, num_steps=3) for label in ("Bald", "Wearing_Hat"))
    assert not torch.equal(first, second)
    prior = [ccvae.conditional_prior(torch.full((1, 3), v)).at_y.base_dist for v in (0.0, 1.0)]
    for column in (0, 2):
        low, high = (p.loc[0, column] for p in prior)
        sign = (high - low).sign()
        z_c[:, column] = (low - 2 * sign * prior[0].scale[0, column]).detach()
    assert_close(grid[:, 0, 0], decode(ccvae, z_c, z_style).detach())


def test_bad_arguments_are_named_in_the_error(ccvae, x):
    with pytest.raises(ValueError, match="no label is called 'Hat': did you mean Wearing_Hat"):
        edit(ccvae, x, "Hat", 1)
    with pytest.raises(ValueError, match="between 0 and 1, got 2"):
        edit(ccvae, x, "Beard", 2)
    with pytest.raises(ValueError, match="wanted a value for 'Beard', got none"):
        edit(ccvae, x, "Beard")
    with pytest.raises(ValueError, match=r"a mapping holds the values .* got another: 1"):
        edit(ccvae, x, {"Beard": 1}, 1)


DRAWING = {
    "generate": lambda model, x, **seed: generate(model, torch.ones(BATCH, NUM_LABELS), **seed),
    "edit": lambda model, x, **seed: edit(model, x, {0: 1, 1: 0}, sample=True, **seed),
    "sample_variations": lambda model, x, **seed: sample_variations(model, x, 1, 1, **seed),
}


@pytest.mark.parametrize("draw", DRAWING.values(), ids=DRAWING)
def test_a_seed_gives_the_same_samples_and_leaves_the_generator_alone(ccvae, x, draw):
    expected = draw(ccvae, x, seed=3)
    torch.manual_seed(0)
    between = torch.rand(3)
    torch.manual_seed(0)
    assert_close(draw(ccvae, x, seed=3), expected, rtol=0, atol=0)
    assert_close(torch.rand(3), between, rtol=0, atol=0)
    assert not torch.equal(draw(ccvae, x, seed=4), expected)


@pytest.mark.parametrize("draw", DRAWING.values(), ids=DRAWING)
def test_without_a_seed_samples_are_from_the_global_generator(ccvae, x, draw):
    torch.manual_seed(3)
    first, second = draw(ccvae, x), draw(ccvae, x)
    assert not torch.equal(first, second)
    assert_close(first, draw(ccvae, x, seed=3), rtol=0, atol=0)
