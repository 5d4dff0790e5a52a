"""How long to train on a set of images by default: the size of a batch, epochs, evaluations.

What a model learns depends on the number of steps more than on that of the epochs: thirty epochs
are 90,000 steps with 150,000 images, and 300 with 500 images, which give grey blobs.
"""

from __future__ import annotations

import math

MIN_STEPS, MAX_STEPS, EPOCHS = 3_000, 20_000, 30
# Batches for sets of at least so many training images. On few images small batches mix them more.
BATCH_SIZES = {500: 50, 100: 32, 0: 16}
MAX_EVALUATIONS = 40  # they and their checkpoints take less than a tenth of the time


def default_batch_size(num_images: int) -> int:
    """The images in a step, 50 or fewer, by the number of training images.

    Example:

        >>> [default_batch_size(num_images) for num_images in (10, 250, 10_000)]
        [10, 32, 50]
    """
    size = next(size for least, size in BATCH_SIZES.items() if num_images >= least)
    return min(size, num_images)


def default_epochs(steps_per_epoch: int) -> int:
    """Thirty epochs, but at least 3,000 steps; fewer epochs where these are over 20,000 steps.

    Example:

        >>> [default_epochs(steps) for steps in (9, 100, 3_000)]
        [334, 30, 7]
    """
    at_most = min(EPOCHS, math.ceil(MAX_STEPS / steps_per_epoch))
    return max(at_most, epochs_for_steps(MIN_STEPS, steps_per_epoch))


def epochs_for_steps(num_steps: int, steps_per_epoch: int) -> int:
    """The number of whole epochs that has at least so many steps."""
    return math.ceil(num_steps / steps_per_epoch)


def default_epochs_per_evaluation(num_epochs: int) -> int:
    """The number of epochs from one evaluation to the next, for at most forty evaluations."""
    return math.ceil(num_epochs / MAX_EVALUATIONS)
