import numpy as np
import pytest
import torch
from helpers import seeded
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, evaluate, reconstruct


@pytest.fixture
def reader(ccvae):
    """A model whose characteristics are the first pixels, so that labels are read off them."""

    class Identity(torch.nn.Module):
        def forward(self, x):
            loc, scale = x - 0.5, torch.full_like(x, 0.1)
            blocks = ((slice(0, 3)), slice(3, 5))
            normal = torch.distributions.Normal
            return tuple(_event(normal(loc[:, b], scale[:, b])) for b in blocks)

    def _event(base):
        return torch.distributions.Independent(base, 1)

    ccvae.encoder = Identity()
    ccvae.classifier.weight.data.fill_(9.0)
    ccvae.classifier.bias.data.zero_()
    return ccvae


def images(y):
    return torch.cat([y, torch.rand(len(y), 5)], dim=1)


def test_a_perfect_reader_has_perfect_figures(reader):
    y = torch.tensor([[0.0, 1, 1], [1, 0, 1], [0, 0, 1], [0, 1, 0]])
    figures = evaluate(reader, [(images(y), y)])
    for name in ("accuracy", "balanced_accuracy", "average_precision"):
        assert figures[name] == 1
    assert figures["majority_accuracy"] == pytest.approx((3 + 2 + 3) / 4 / 3)


def test_figures_of_known_mistakes(reader):
    truth = torch.tensor([[1.0], [1], [0], [0], [0]]).expand(-1, 3)
    said = torch.tensor([[1.0], [0], [0], [0], [1]]).expand(-1, 3)
    figures = evaluate(reader, [(images(said), truth)])
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    beard = figures["per_label"]["Beard"]
    assert beard["sensitivity"] == pytest.approx(1 / 2)
    assert beard["specificity"] == pytest.approx(2 / 3)
    assert beard["frequency"] == pytest.approx(2 / 5)


def test_missing_labels_are_left_out(reader):
    y = torch.tensor([[0.0, 1, 1], [1, 0, 1], [0, 0, 0]])
    wrong = images(1 - y)
    unknown = y.clone()
    unknown[:, 1:] = torch.nan
    unknown[0, 1:] = 1 - y[0, 1:]
    figures = evaluate(reader, [(wrong, unknown)])
    assert figures["per_label"]["Beard"]["accuracy"] == 1
    assert np.isnan(figures["per_label"]["Beard"]["balanced_accuracy"])
    assert figures["per_label"]["Bald"]["accuracy"] == 0


def test_a_label_that_nobody_knows_has_no_figures(reader):
    y = torch.tensor([[0.0, 1, torch.nan], [1, 0, torch.nan]])
    figures = evaluate(reader, [(images(y.nan_to_num()), y)])
    assert figures["accuracy"] == 1
    assert all(np.isnan(value) for value in figures["per_label"]["Wearing_Hat"].values())


def test_batches_make_no_difference(ccvae, batch):
    x, y = batch
    together = evaluate(ccvae, [(x, y)])
    apart = evaluate(ccvae, [(x[:3], y[:3]), (x[3:], y[3:])])
    for name in ("accuracy", "reconstruction_error"):
        assert together[name] == pytest.approx(apart[name])
    error = (reconstruct(ccvae, x) - x).abs().mean()
    assert together["reconstruction_error"] == pytest.approx(error.item())


def test_bound_is_that_of_the_objective_per_image(ccvae, batch):
    objective = CCVAE_ELBO()
    actual = seeded(evaluate, ccvae, [batch], objective)["bound"]
    expected = -seeded(objective.loss, ccvae.model, ccvae.guide, *batch) / len(batch[0])
    assert_close(actual, expected)
