"""The page that edits Pyro's SS-VAE into a CCVAE: its diffs are what its cells run."""

import re
from pathlib import Path

import pyro
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "four_edits.md"
CELL = r"```\{code-cell\}[^\n]*\n(?:---\n.*?\n---\n|(?::\w+:[^\n]*\n)+\n?)?(.*?)```"
BLOCKS = [
    (match[1] is None, match[1] if match[1] is not None else match[2])
    for match in re.finditer(rf"{CELL}|```diff\n(.*?)```", PAGE.read_text(), flags=re.S)
]
CELLS = [text for is_diff, text in BLOCKS if not is_diff]
DIFFS = [(place, text) for place, (is_diff, text) in enumerate(BLOCKS) if is_diff]
# That of the loss in SVI: the cells have it as an argument of their function "train".
DIFFS = [(place, text) for place, text in DIFFS if "svi = SVI" not in text]


def side(diff, sign):
    """The lines of one side of a diff, without their first character."""
    return "\n".join(line[1:] for line in diff.splitlines() if line[:1] in {sign, " "})


@pytest.mark.parametrize(("place", "diff"), DIFFS, ids=range(len(DIFFS)))
def test_a_diff_leads_from_a_cell_before_it_to_the_one_after_it(place, diff):
    before = [text for is_diff, text in BLOCKS[:place] if not is_diff]
    after = [text for is_diff, text in BLOCKS[place:] if not is_diff]
    assert any(side(diff, "-") in text for text in before)
    assert any(side(diff, "+") in text for text in after[:2])


@pytest.fixture(scope="module")
def page():
    """The names that the page defines, in double precision, after a few steps of training."""
    torch.set_default_dtype(torch.float64)
    names = {}
    with pyro.get_param_store().scope():
        for cell in CELLS:
            if "by_hand" in cell:
                break
            if cell.startswith(("accuracies", "print(f")):
                continue
            exec(cell.replace("num_steps=120", "num_steps=3"), names)
    torch.set_default_dtype(torch.float32)
    return names


@pytest.mark.parametrize("num_samples", [1, 100])
def test_the_loss_by_hand_is_that_of_the_package_and_so_is_its_gradient(page, num_samples):
    model, guide, networks = page["model"], page["guide"], page["networks"]
    batch = page["x_labeled"], page["y_labeled"]
    pyro.set_rng_seed(0)
    by_hand = page["labeled_loss"](model, guide, *batch, num_samples=num_samples)
    pyro.set_rng_seed(0)
    elbo = CCVAE_ELBO(num_label_samples=num_samples)
    by_package = elbo.differentiable_loss(model, guide, *batch)
    assert_close(by_hand, by_package, rtol=1e-6, atol=0)
    parameters = list(networks.parameters())
    gradients = torch.autograd.grad(by_hand, parameters)
    assert_close(gradients, torch.autograd.grad(by_package, parameters), rtol=1e-6, atol=1e-9)


def test_the_bound_without_the_last_edit_has_the_same_value_and_another_gradient(page):
    names = dict(page)
    third = next(cell for cell in CELLS if "def labeled_loss" in cell)
    exec(third, names)
    batch = page["model"], page["guide"], page["x_labeled"], page["y_labeled"]
    losses = []
    for loss in (names["labeled_loss"], page["labeled_loss"]):
        pyro.set_rng_seed(0)
        losses.append(loss(*batch))
    assert_close(*losses, rtol=1e-9, atol=0)
    weight = page["networks"].encoder_c[0].weight
    first, second = (torch.autograd.grad(loss, weight)[0] for loss in losses)
    assert (first - second).norm() > 0.1 * second.norm()
    pyro.set_rng_seed(0)
    elbo = CCVAE_ELBO(stop_gradient=False)
    (of_package,) = torch.autograd.grad(elbo.differentiable_loss(*batch), weight)
    assert_close(first, of_package, rtol=1e-6, atol=1e-9)
