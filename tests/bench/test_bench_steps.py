"""Time and memory of a training step, relative to encoder and decoder only."""

import pytest
import torch
from bench.steps import OBJECTIVES, Setting, step_of

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize("labels", ["all", "none", "half"])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_step(in_turn, precision, objective, labels):
    setting = Setting(labels=labels, precision=PRECISIONS[precision])
    step = step_of(OBJECTIVES[objective](), setting)
    in_turn(step, setting, "a step of 200 images", f"{precision}, {labels} labeled", objective)


@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler warns about its own internals
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_step_of_compiled_networks(in_turn, objective):
    step = step_of(OBJECTIVES[objective](), Setting(), compiled=True)
    in_turn(step, Setting(), "a step of 200 images", "compiled, all labeled", objective)


def test_step_with_label_consistency(in_turn):
    step = step_of(ExactCCVAE_ELBO(consistency_weight=20.0), Setting())
    in_turn(
        step, Setting(), "a step of 200 images", "all labeled, with label consistency", "exact"
    )


@pytest.mark.parametrize("num_labels", [1, 18, 40, 312])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_number_of_labels(in_turn, objective, num_labels):
    setting = Setting(num_labels=num_labels, z_dim=340)  # the same networks for all
    step = step_of(OBJECTIVES[objective](), setting)
    in_turn(step, setting, "number of labels", num_labels, objective, rounds=9)


@pytest.mark.parametrize("num_samples", [1, 10, 100, 1000])
def test_number_of_samples(in_turn, num_samples):
    step = step_of(CCVAE_ELBO(num_label_samples=num_samples), Setting())
    in_turn(step, Setting(), "samples K", num_samples, "paper", rounds=9)


@pytest.mark.parametrize("batch_size", [10, 50, 200, 800])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_batch_size(in_turn, objective, batch_size):
    setting = Setting(batch_size=batch_size)
    step = step_of(OBJECTIVES[objective](), setting)
    in_turn(step, setting, "images in a batch", batch_size, objective, rounds=9)


@pytest.mark.parametrize("side", [28, 64])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_image_size(in_turn, objective, side):
    setting = Setting(side=side)
    step = step_of(OBJECTIVES[objective](), setting)
    in_turn(step, setting, "side of an image", side, objective, rounds=9)
