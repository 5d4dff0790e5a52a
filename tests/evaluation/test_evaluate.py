from dataclasses import astuple

import numpy as np
import pytest
import torch
from helpers import seeded
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, Binary, Continuous, evaluate, mnist, reconstruct
from ccvae_pyro.evaluation import label_metrics
from ccvae_pyro.models.base import ImageModel


@pytest.fixture
def thresholding(ccvae):
    """A model that predicts each label from one pixel, at a threshold of 0.5."""

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


def test_a_perfect_classifier_has_perfect_metrics(thresholding):
    y = torch.tensor([[0.0, 1, 1], [1, 0, 1], [0, 0, 1], [0, 1, 0]])
    evaluation = evaluate(thresholding, [(images(y), y)])
    assert evaluation.accuracy == 1
    assert evaluation.balanced_accuracy == 1
    assert evaluation.average_precision == 1
    assert evaluation.majority_accuracy == pytest.approx((3 + 2 + 3) / 4 / 3)


def test_metrics_of_known_mistakes(thresholding):
    truth = torch.tensor([[1.0], [1], [0], [0], [0]]).expand(-1, 3)
    predicted = torch.tensor([[1.0], [0], [0], [0], [1]]).expand(-1, 3)
    evaluation = evaluate(thresholding, [(images(predicted), truth)])
    assert evaluation.accuracy == pytest.approx(3 / 5)
    assert evaluation.balanced_accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    beard = evaluation.per_label["Beard"]
    assert beard.sensitivity == pytest.approx(1 / 2)
    assert beard.specificity == pytest.approx(2 / 3)
    assert beard.prevalence == pytest.approx(2 / 5)


def test_missing_labels_are_left_out(thresholding):
    y = torch.tensor([[0.0, 1, 1], [1, 0, 1], [0, 0, 0]])
    wrong = images(1 - y)
    unknown = y.clone()
    unknown[:, 1:] = torch.nan
    unknown[0, 1:] = 1 - y[0, 1:]
    per_label = evaluate(thresholding, [(wrong, unknown)]).per_label
    assert per_label["Beard"].accuracy == 1
    assert np.isnan(per_label["Beard"].balanced_accuracy)
    assert per_label["Bald"].accuracy == 0


def test_the_metrics_of_a_label_without_values_are_nan(thresholding):
    y = torch.tensor([[0.0, 1, torch.nan], [1, 0, torch.nan]])
    evaluation = evaluate(thresholding, [(images(y.nan_to_num()), y)])
    assert evaluation.accuracy == 1
    *metrics, num_images = astuple(evaluation.per_label["Wearing_Hat"])
    assert np.isnan(metrics).all()
    assert num_images == 0


def test_batches_make_no_difference(ccvae, batch):
    x, y = batch
    together = evaluate(ccvae, [(x, y)])
    apart = evaluate(ccvae, [(x[:3], y[:3]), (x[3:], y[3:])])
    assert together.accuracy == pytest.approx(apart.accuracy)
    assert together.reconstruction_error == pytest.approx(apart.reconstruction_error)
    error = (reconstruct(ccvae, x) - x).abs().mean()
    assert together.reconstruction_error == pytest.approx(error.item())


def test_bound_is_that_of_the_objective_per_image(ccvae, batch):
    objective = CCVAE_ELBO()
    actual = evaluate(ccvae, [batch], objective, seed=1).bound
    expected = -seeded(objective.loss, ccvae.model, ccvae.guide, *batch) / len(batch[0])
    assert_close(actual, expected)


MEANS = {"accuracy", "balanced_accuracy", "majority_accuracy", "average_precision", "auroc"}
MEANS |= {"calibration_error", "per_label"}


def test_plain_values_leave_out_what_does_not_apply(ccvae, batch):
    plain = evaluate(ccvae, [batch]).to_dict()
    assert plain.keys() == MEANS | {"reconstruction_error"}
    assert plain["per_label"]["Beard"].keys() >= {"accuracy", "sensitivity", "prevalence"}
    assert evaluate(ccvae, [batch], CCVAE_ELBO()).to_dict().keys() - plain.keys() == {"bound"}
    assert label_metrics(ccvae, [batch]).to_dict().keys() == MEANS


def test_plain_values_have_the_r_squared_of_continuous_labels():
    torch.set_default_dtype(torch.float32)
    model = mnist(z_dim=4, labels=[Binary("Hat"), Continuous("Age", 40.0, 10.0)])
    y = torch.tensor([[0.0, 30.0], [1.0, 50.0], [1.0, torch.nan]])
    evaluation = evaluate(model, [(torch.rand(3, 1, 28, 28), y)])
    assert evaluation.r_squared == evaluation.per_label["Age"].r_squared
    assert evaluation.to_dict()["r_squared"] == evaluation.r_squared
    assert evaluation.accuracy == evaluation.per_label["Hat"].accuracy


def test_a_model_without_classifier_and_decoder_has_no_metrics(batch):
    x, y = batch
    evaluation = evaluate(ImageModel([Binary("Hat")]), [(x, y[:, :1])])
    assert evaluation.per_label == {}
    assert np.isnan([*evaluation.means().values(), evaluation.reconstruction_error]).all()
