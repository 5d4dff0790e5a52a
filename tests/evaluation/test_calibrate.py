"""How sure predictions are, against what is right, and that checkpoints keep it."""

import math

import numpy as np
import pytest
import torch
from helpers import assert_same_states
from sklearn.linear_model import LogisticRegression
from small_runs import make_data, start

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, Continuous, Ordinal, calibrate, classify, predict
from ccvae_pyro.components import Calibration
from ccvae_pyro.distributions.label_vector import LabelGroup, LabelVector
from ccvae_pyro.evaluation import label_metrics
from ccvae_pyro.models import ImageModel

NUM = 2_500
LABELS = (
    Binary("Hat"),
    Categorical("Hair", ("a", "b", "c")),
    Continuous("Age", 0.0, 1.0),
    Ordinal("Stars", ("1", "2", "3", "4", "5")),
)


class Predictor(ImageModel):
    """A model whose 'images' are the parameters of its predictions, which are given."""

    def __init__(self, labels=LABELS):
        super().__init__(labels)
        self.one = torch.nn.Parameter(torch.ones(()))

    def q_y_x(self, x):
        hat, hair, age, stars = x.flatten(1).split([1, 3, 2, 2], dim=1)
        column = [torch.tensor([i]) for i in range(4)]
        normals = [torch.distributions.Normal(u[:, :1], u[:, 1:].exp()) for u in (age, stars)]
        return LabelVector(
            [
                LabelGroup(torch.distributions.Bernoulli(logits=hat), column[0]),
                LabelGroup(torch.distributions.Categorical(logits=hair[:, None]), column[1]),
                LabelGroup(normals[0], column[2]),
                LabelGroup(normals[1], column[3]),
            ]
        )


def make(factor, offset, seed=0):
    """Labels from distributions, and predictions that are too sure by a factor, and shifted."""
    rng = torch.Generator().manual_seed(seed)
    normal = torch.randn(NUM, 8, generator=rng) * torch.tensor([1.5] * 4 + [1, 0, 1, 0])
    hat, hair, age, _, stars, _ = normal.split([1, 3, 1, 1, 1, 1], dim=1)
    stars = 2 + stars
    sigma = torch.tensor([0.7, 0.9])
    noise = torch.randn(NUM, 2, generator=rng)
    y = [
        torch.bernoulli(hat.sigmoid(), generator=rng)[:, 0],
        torch.multinomial(hair.softmax(1), 1, generator=rng)[:, 0].to(hat),
        age[:, 0] + sigma[0] * noise[:, 0],
        (stars[:, 0] + sigma[1] * noise[:, 1]).round().clamp(0, 4),
    ]
    log_sigma = (sigma / factor).log().expand(NUM, 2)
    shift = torch.tensor([offset, 0, -offset])
    parts = [
        factor * (hat + offset),
        factor * (hair + shift),
        torch.cat([age, log_sigma[:, :1]], 1),
        torch.cat([stars, log_sigma[:, 1:]], 1),
    ]
    return torch.cat(parts, 1)[:, :, None, None], torch.stack(y, 1)


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 0.0), (3.0, 0.0), (0.5, 0.0), (2.5, 1.0)])
def test_temperatures_and_offsets_undo_what_was_done_to_the_logits(factor, offset):
    model = Predictor()
    x, y = make(factor, offset)
    result = calibrate(model, [(x[:900], y[:900]), (x[900:], y[900:])])
    temperature, of_column = model.calibration.log_temperature.exp(), model.calibration.offset
    assert temperature[:3].tolist() == pytest.approx([factor] * 3, rel=0.1)
    assert temperature[3] == pytest.approx(factor, rel=0.15)  # of ranks, which are rounded
    has = {"Hat", "Hair"} if offset else set()
    assert set(result.labels_with_offsets) == has
    if offset:
        assert of_column[0] == pytest.approx(-offset, abs=0.15)
        assert (of_column[1:4] - of_column[2]).tolist() == pytest.approx(
            [-offset, 0, offset], abs=0.2
        )
    else:
        assert (of_column == 0).all()
    assert (of_column[4:] == 0).all()
    improvement = result.log_loss - result.calibrated_log_loss
    assert improvement > (0.05 if factor != 1 else 0)
    # On other images, probabilities are right as often as they say, and intervals hold.
    true, _ = make(1.0, 0.0, seed=1)
    x, y = make(factor, offset, seed=1)
    per_label = label_metrics(model, [(x, y)]).per_label
    best = label_metrics(Predictor(), [(true, y)]).per_label
    for name in ("Hat", "Hair", "Stars"):
        assert per_label[name].calibration_error < best[name].calibration_error + 0.01
    mean, std = (each[:, 2] for each in predict(model, x))
    assert ((y[:, 2] - mean).abs() < 1.645 * std).double().mean() == pytest.approx(0.9, abs=0.02)


def test_it_agrees_with_logistic_regression_of_the_logit():
    model = Predictor()
    x, y = make(3.0, 1.0)
    y[:, 1:] = math.nan
    calibrate(model, [(x, y)])
    logit = x[:, :1, 0, 0].double().numpy()
    platt = LogisticRegression(C=1e6).fit(logit, y[:, 0].numpy())
    assert 1 / model.calibration.log_temperature[0].exp() == pytest.approx(
        platt.coef_[0, 0], rel=0.01
    )
    assert model.calibration.offset[0] == pytest.approx(platt.intercept_[0], abs=0.02)
    assert model.calibration.log_temperature[1:].tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_temperature_leaves_what_is_predicted_as_it_is():
    model = Predictor()
    x, y = make(3.0, 1.0)
    before, probability = predict(model, x)
    result = calibrate(model, [(x, y)], offsets=False)
    after, calibrated = predict(model, x)
    assert result.labels_with_offsets == ()
    assert torch.equal(before[:, :3], after[:, :3])
    assert (calibrated[:, :2] <= probability[:, :2] + 1e-6).all()


def test_offsets_are_for_labels_that_they_make_more_accurate():
    model = Predictor()
    x, y = make(2.5, 1.0)
    before = label_metrics(model, [(x, y)]).per_label
    calibrate(model, [(x, y)])
    after = label_metrics(model, [(x, y)]).per_label
    assert after["Hat"].accuracy > before["Hat"].accuracy + 0.02
    few, truth = x[:20], y[:20]
    assert calibrate(model, [(few, truth)]).labels_with_offsets in ((), ("Hat",), ("Hair",))


def test_without_labels_there_is_none():
    model = Predictor()
    x, y = make(3.0, 0.0)
    calibrate(model, [(x, y)])
    result = calibrate(model, [(x, torch.full_like(y, math.nan))])
    assert model.calibration is None
    assert math.isnan(result.log_loss)
    assert calibrate(model, []).labels_with_offsets == ()


def test_a_model_that_predicts_no_labels_is_an_error():
    vae = ccvae_pyro.models.baseline("vae", [Binary("Hat")], 2, images="mnist")
    with pytest.raises(ccvae_pyro.UnsupportedError, match="cannot predict labels"):
        calibrate(vae, [(torch.zeros(1, 1, 28, 28), torch.ones(1, 1))])


@pytest.mark.parametrize("scale", [1e-3, 1e3, 1e6, 1e38])
def test_predictions_that_are_all_right_or_all_wrong_give_finite_temperatures(scale):
    model = Predictor()
    x, y = make(1.0, 0.0)
    y[:, 0] = (x[:, 0, 0, 0] > 0).to(y)
    y[:, 1] = x[:, 1:4, 0, 0].argmin(1)
    x[:, :4] *= scale
    calibrate(model, [(x, y)])
    assert model.calibration.log_temperature.isfinite().all()
    assert classify(model, x).isfinite().all()


@pytest.fixture
def trained():
    """A CCVAE with a calibration, and its batches."""
    ccvae, svi, batches = start(make_data())
    calibrate(ccvae, batches.held_out("train"))
    return ccvae, svi, batches


def test_a_checkpoint_keeps_it(trained, tmp_path):
    ccvae, _, batches = trained
    path = tmp_path / "checkpoint.pt"
    ccvae_pyro.save(path, ccvae)
    loaded = ccvae_pyro.load(path)  # built by its config
    assert_same_states(loaded.calibration.tensors, ccvae.calibration.tensors)
    x, _ = batches.data.batch(np.arange(10))
    assert torch.equal(classify(loaded, x), classify(ccvae, x))
    contents = torch.load(path, weights_only=True)
    del contents["calibration"]  # as earlier versions wrote it
    torch.save(contents, path)
    assert ccvae_pyro.load(path).calibration is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("text", "wanted the tensors"),
        ({"offset": torch.zeros(3)}, "wanted the tensors"),
        ({"offset": torch.zeros(2), "log_temperature": torch.zeros(3)}, "of shape"),
        ({"offset": torch.full((3,), math.nan), "log_temperature": torch.zeros(3)}, "finite"),
    ],
)
def test_an_invalid_one_is_an_error_and_the_model_stays(trained, tmp_path, entry, message):
    ccvae, _, _ = trained
    path = tmp_path / "checkpoint.pt"
    ccvae_pyro.save(path, ccvae)
    torch.save(torch.load(path, weights_only=True) | {"calibration": entry}, path)
    before = ccvae.calibration
    with pytest.raises(ccvae_pyro.CheckpointError, match=f"invalid fitted calibration.*{message}"):
        ccvae_pyro.load(path, ccvae)
    assert ccvae.calibration is before


def test_training_and_another_classifier_are_without_it(trained, tmp_path):
    ccvae, svi, batches = trained
    bayes = ccvae_pyro.with_bayes_classifier(ccvae)
    assert bayes.calibration is None  # it was fitted to another classifier
    ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)
    assert ccvae.calibration is None


def test_its_shapes_are_those_of_the_labels():
    with pytest.raises(ValueError, match=r"wanted offset of finite numbers, of shape \(10,\)"):
        Calibration(torch.zeros(4), torch.zeros(3), LABELS)
