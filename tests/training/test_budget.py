"""The default length of a run."""

import pytest

from ccvae_pyro.training import (
    default_batch_size,
    default_epochs,
    default_epochs_per_evaluation,
    epochs_for_steps,
)


@pytest.mark.parametrize("num_images", [1, 9, 60, 333, 499, 500, 4_500, 30_000, 160_000])
def test_every_set_gets_thousands_of_steps_and_few_evaluations(num_images):
    batch_size = default_batch_size(num_images)
    assert 1 <= batch_size <= min(50, num_images)
    steps_per_epoch = -(-num_images // batch_size)
    epochs = default_epochs(steps_per_epoch)
    assert 3_000 <= epochs * steps_per_epoch < 20_000 + steps_per_epoch
    assert -(-epochs // default_epochs_per_evaluation(epochs)) <= 40


def test_small_sets_have_small_batches():
    assert [default_batch_size(n) for n in (7, 99, 100, 499, 500)] == [7, 16, 32, 32, 50]


def test_sets_between_have_thirty_epochs():
    assert [default_epochs(steps) for steps in (100, 300, 600)] == [30, 30, 30]


@pytest.mark.parametrize(("num_steps", "epochs"), [(1, 1), (9, 1), (10, 2), (90, 10)])
def test_steps_are_whole_epochs(num_steps, epochs):
    assert epochs_for_steps(num_steps, 9) == epochs
