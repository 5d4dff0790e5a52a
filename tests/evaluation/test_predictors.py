"""Whether labels are predicted by the classifier or by Bayes' rule, and that checkpoints know."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_runs import make_data, start

import ccvae_pyro
from ccvae_pyro import predict, with_bayes_classifier
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


def test_the_better_one_on_validation_images_predicts(disagreeing):
    ccvae, data, by_classifier, by_bayes = disagreeing
    x, _ = data.batch(np.arange(20))
    for y, is_bayes in ((by_bayes, True), (by_classifier, False)):
        choice = choose_predictor(ccvae, with_labels(data, y))
        assert choice.by_bayes_rule is ccvae.predicts_by_bayes_rule is is_bayes
        assert max(choice.bayes_rule, choice.classifier) == 1.0
        assert min(choice.bayes_rule, choice.classifier) < 0.7
        assert torch.equal(predict(ccvae, x)[0], y[:20])


def test_without_labels_to_compare_on_the_classifier_predicts(disagreeing):
    ccvae, data, by_classifier, _ = disagreeing
    ccvae.predicts_by_bayes_rule = True
    unlabeled = torch.full_like(by_classifier, math.nan)
    assert not choose_predictor(ccvae, with_labels(data, unlabeled)).by_bayes_rule
    assert not ccvae.predicts_by_bayes_rule
    no_images = replace(data, splits={"train": data.splits["train"]})
    assert math.isnan(choose_predictor(ccvae, Batches(no_images, 10)).classifier)


def test_checkpoints_predict_as_the_model_does(disagreeing, tmp_path):
    ccvae, data, _, by_bayes = disagreeing
    path = tmp_path / "checkpoint.pt"
    ccvae_pyro.save(path, ccvae)
    assert not ccvae_pyro.load(path).predicts_by_bayes_rule
    choose_predictor(ccvae, with_labels(data, by_bayes))
    save_choices(path, ccvae)
    x, _ = data.batch(np.arange(20))
    assert torch.equal(predict(ccvae_pyro.load(path), x)[0], by_bayes[:20])
    contents = torch.load(path, weights_only=True)
    torch.save(contents | {"predicts_by_bayes_rule": "yes"}, path)
    with pytest.raises(ccvae_pyro.CheckpointError, match="`predicts_by_bayes_rule` is neither"):
        ccvae_pyro.load(path)
