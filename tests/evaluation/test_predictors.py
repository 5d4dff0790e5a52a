"""What predicts labels: classifier, Bayes' rule or a probe; and that checkpoints know."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import make_data, start

import ccvae_pyro
from ccvae_pyro import classify, fit_probe, predict, with_bayes_classifier
from ccvae_pyro.data import Batches
from ccvae_pyro.evaluation import choose_predictor
from ccvae_pyro.io import save_choices


@pytest.fixture
def disagreeing():
    """A model whose classifier says the contrary of its priors, and its data."""
    ccvae, _, batches = start(make_data())
    with torch.no_grad():
        ccvae.classifier.weight.fill_(-1.0)
        ccvae.classifier.bias.zero_()
    x, _ = batches.data.batch(np.arange(len(batches.data.images)))
    by_classifier, by_bayes = (predict(m, x)[0] for m in (ccvae, with_bayes_classifier(ccvae)))
    assert (by_classifier != by_bayes).float().mean() > 0.5
    return ccvae, batches.data, by_classifier, by_bayes


def with_labels(data, y):
    return Batches(replace(data, labels=y.float().numpy()), 10)


def test_the_best_one_on_validation_images_predicts_calibrated(disagreeing):
    ccvae, data, by_classifier, by_bayes = disagreeing
    x, _ = data.batch(np.arange(20))
    for y, best in ((by_bayes, "bayes_rule"), (by_classifier, "classifier")):
        choice = choose_predictor(ccvae, with_labels(data, y))
        losses = {name: each.calibrated_log_loss for name, each in choice.calibrations.items()}
        assert losses.keys() == {"classifier", "bayes_rule", "probe"}
        # A probe of the same latents may be as good as either, but not as the contrary.
        assert losses[choice.predictor] == min(losses.values())
        assert choice.predictor in (best, "probe")
        assert ccvae.predicts_by_bayes_rule is (choice.predictor == "bayes_rule")
        assert (ccvae.probe is not None) is (choice.predictor == "probe")
        assert (predict(ccvae, x)[0] == y[:20]).double().mean() > 0.9
        assert ccvae.calibration is not None


def test_a_probe_predicts_what_the_characteristic_does_not_tell(disagreeing):
    # The label is that of the sign of a style latent, which neither of the others reads.
    ccvae, data, _, _ = disagreeing
    x, _ = data.batch(np.arange(len(data.images)))
    with torch.no_grad():
        style = ccvae.encode(x)[1][:, :1]
    y = (style > style.median()).repeat(1, data.labels.shape[1])
    choice = choose_predictor(ccvae, with_labels(data, y))
    assert choice.predictor == "probe"
    of_probe = choice.calibrations["probe"].calibrated_log_loss
    assert of_probe < choice.calibrations["classifier"].calibrated_log_loss - 0.1
    test = data.splits["test"]
    right = (predict(ccvae, x[test])[0] == y[test]).double().mean()
    assert right > 0.8
    bayes = with_bayes_classifier(ccvae)
    assert bayes.probe is bayes.calibration is None


def test_without_labels_to_compare_on_the_classifier_predicts(disagreeing):
    ccvae, data, by_classifier, _ = disagreeing
    ccvae.predicts_by_bayes_rule = True
    unlabeled = torch.full_like(by_classifier, math.nan)
    assert choose_predictor(ccvae, with_labels(data, unlabeled)).predictor == "classifier"
    assert not ccvae.predicts_by_bayes_rule
    assert ccvae.probe is ccvae.calibration is None
    no_images = replace(data, splits={"train": data.splits["train"]})
    assert choose_predictor(ccvae, Batches(no_images, 10)).calibrations == {}


def test_checkpoints_predict_as_the_model_does(disagreeing, tmp_path):
    ccvae, data, _, _ = disagreeing
    path = tmp_path / "checkpoint.pt"
    ccvae_pyro.save(path, ccvae)
    assert not ccvae_pyro.load(path).predicts_by_bayes_rule
    x, _ = data.batch(np.arange(20))
    plain = classify(ccvae, x)
    ccvae.predicts_by_bayes_rule = True
    save_choices(path, ccvae)
    assert torch.equal(classify(ccvae_pyro.load(path), x), classify(ccvae, x))
    ccvae.probe = fit_probe(ccvae, Batches(data, 10).held_out("train"))
    of_probe = classify(ccvae, x)
    save_choices(path, ccvae)
    loaded = ccvae_pyro.load(path)
    assert torch.equal(classify(loaded, x), of_probe)
    assert (of_probe != plain).any()
    loaded.forget_fitted()
    assert torch.equal(classify(loaded, x), plain)
    contents = torch.load(path, weights_only=True)
    torch.save(contents | {"predicts_by_bayes_rule": "yes"}, path)
    with pytest.raises(ccvae_pyro.CheckpointError, match="`predicts_by_bayes_rule` is neither"):
        ccvae_pyro.load(path)
    torch.save(contents | {"probe": {"bias": torch.zeros(1)}}, path)
    with pytest.raises(ccvae_pyro.CheckpointError, match="invalid fitted probe: wanted the tens"):
        ccvae_pyro.load(path)
