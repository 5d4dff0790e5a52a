"""Simple baselines that photographs.py compares a CCVAE with.

A baseline of labels learns from the known labels of the training images and predicts the labels of
the test images, in the columns of :func:`ccvae_pyro.classify`: the probability of each class, or 1
for the predicted one, and the mean of a continuous label. Settings are chosen by the validation
labels. A baseline of images learns from all training images and reconstructs the test images.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm, trange

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.data.augmentation import sample_transforms, transform_images
from ccvae_pyro.labels import Categorical, Label, num_outcomes

MAX_PCA_IMAGES = 5_000  # more images hardly change the components
BATCH_SIZE, LEARNING_RATE, STEPS, STEPS_PER_CHECK = 64, 2e-3, 600, 50


def majority(data: LabeledImages, seed: int) -> np.ndarray:
    """The class frequencies, or the mean, whatever the image is."""
    outcomes = [constant(label, i, data) for i, label in enumerate(data.label_types)]
    return np.tile(np.concatenate(outcomes), (len(data.splits["test"]), 1))


def logistic_regression(data: LabeledImages, seed: int) -> np.ndarray:
    """Logistic or ridge regression on 300 principal components of the standardized pixels."""
    features = encode(data, fit_pca(data, 300, seed, StandardScaler()))
    columns = []
    for index, label in enumerate(tqdm(data.label_types, desc="labels", leave=False)):
        if label.classes:
            candidates = [LogisticRegression(C=c, max_iter=500) for c in (0.001, 0.01, 0.1)]
        else:
            candidates = [Ridge(alpha) for alpha in (1e5, 1e4, 1e3)]
        columns.append(predict_one(data, index, features, candidates))
    return np.concatenate(columns, axis=1)


def pca_svm(data: LabeledImages, seed: int) -> np.ndarray:
    """Support vector machines with a Gaussian kernel on 100 principal components."""
    features = encode(data, fit_pca(data, 100, seed))
    columns = []
    for index, label in enumerate(tqdm(data.label_types, desc="labels", leave=False)):
        regressor = TransformedTargetRegressor(SVR(C=10), transformer=StandardScaler())
        machines = [SVC(C=10) if label.classes else regressor for _ in range(2)]
        candidates = [machines[0], make_pipeline(StandardScaler(), machines[1])]
        columns.append(predict_one(data, index, features, candidates))
    return np.concatenate(columns, axis=1)


def cnn(
    data: LabeledImages, seed: int, *, shift: int = 0, warp: float = 0.0, steps: int = STEPS
) -> np.ndarray:
    """A network of three convolutions, trained on all labels at once, stopped early.

    :param shift: augmentation, as in :class:`ccvae_pyro.data.Batches`.
    :param warp: augmentation, as in :class:`ccvae_pyro.data.Batches`.
    :param steps: the largest number of steps, each of 64 labeled images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = new_network(data)
        train(network, data, np.random.default_rng(seed), shift, warp, steps)
    outcomes = []
    for index, output in enumerate(outputs_of(network, data, "test")):
        label = data.label_types[index]
        if isinstance(label, Categorical):
            outcomes.append(output.softmax(dim=1))
        else:
            mean, std = moments(data, index)
            outcomes.append(output.sigmoid() if label.classes else mean + std * output)
    return torch.cat(outcomes, dim=1).numpy()


def mean_image(data: LabeledImages, seed: int) -> np.ndarray:
    """The mean training image in place of each test image."""
    mean = pixels(data, data.splits["train"]).mean(axis=0)
    return np.tile(mean, (len(data.splits["test"]), 1))


def pca_reconstructions(data: LabeledImages, seed: int, *, num_components: int) -> np.ndarray:
    """Test images from their principal components, clipped to [0, 1]."""
    pca, test = fit_pca(data, num_components, seed), pixels(data, data.splits["test"])
    return pca.inverse_transform(pca.transform(test)).clip(0, 1)


def pixels(data: LabeledImages, rows: np.ndarray) -> np.ndarray:
    """Images as vectors of pixels in [0, 1]."""
    return data.images[rows].reshape(len(rows), -1).astype(np.float32) / 255


def fit_pca(data: LabeledImages, num_components: int, seed: int, scaler: Any = None) -> Pipeline:
    """Principal components of the training images, labeled or not.

    :param scaler: an estimator that transforms the pixels first.
    """
    rows = data.splits["train"]
    if len(rows) > MAX_PCA_IMAGES:
        rows = np.random.default_rng(seed).choice(rows, MAX_PCA_IMAGES, replace=False)
    x = pixels(data, rows)
    pca = PCA(min(num_components, *x.shape), random_state=seed)
    return make_pipeline(scaler or "passthrough", pca).fit(x)


def encode(data: LabeledImages, pca: Pipeline) -> np.ndarray:
    """The principal components of all images."""
    parts = np.array_split(np.arange(len(data.images)), 10)  # floats of all may not fit in memory
    return np.concatenate([pca.transform(pixels(data, rows)) for rows in parts])


def known(data: LabeledImages, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a split where a label is known, and its values there."""
    rows = data.splits[split]
    rows = rows[~np.isnan(data.labels[rows, index])]
    return rows, data.labels[rows, index]


def constant(label: Label, index: int, data: LabeledImages) -> np.ndarray:
    """The outcome of a label whatever the image is."""
    _, values = known(data, "train", index)
    if isinstance(label, Categorical):
        return np.bincount(values.astype(int), minlength=len(label.classes)) / max(1, len(values))
    return np.array([values.mean() if len(values) else 0.0])


def predict_one(
    data: LabeledImages, index: int, features: np.ndarray, candidates: Sequence[Any]
) -> np.ndarray:
    """The outcomes of a label by the candidate with the best score on the validation labels."""
    label, test = data.label_types[index], data.splits["test"]
    rows, values = known(data, "train", index)
    if len(np.unique(values)) < 2:
        return np.tile(constant(label, index, data), (len(test), 1))
    fitted = [candidate.fit(features[rows], values) for candidate in candidates]
    valid, truth = known(data, "valid", index)
    scores = [each.score(features[valid], truth) if len(valid) else 0.0 for each in fitted]
    predicted = fitted[int(np.argmax(scores))].predict(features[test])
    if isinstance(label, Categorical):
        return np.eye(len(label.classes))[predicted.astype(int)]
    return predicted[:, None]


def new_network(data: LabeledImages) -> nn.Sequential:
    """Three convolutions with batch normalization, and a linear layer for the labels."""
    channels, layers = (data.images.shape[-1], 32, 64, 128), []
    for before, after in itertools.pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3)]
    num_outputs = sum(map(num_outcomes, data.label_types))
    return nn.Sequential(*layers, nn.Linear(16 * channels[-1], num_outputs)).float()


def train(
    network: nn.Sequential,
    data: LabeledImages,
    rng: np.random.Generator,
    shift: int,
    warp: float,
    steps: int,
) -> None:
    """Trains a network, and leaves it as it was when its validation loss was least."""
    adam = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, LEARNING_RATE, steps)
    rows = data.splits["train"]
    rows = rows[~np.isnan(data.labels[rows]).all(axis=1)]
    best_loss, best, queue = math.inf, network.state_dict(), rows[:0]
    for step in trange(1, steps + 1, desc="CNN", unit="step", leave=False):
        while len(queue) < BATCH_SIZE:
            queue = np.concatenate([queue, rng.permutation(rows)])
        batch, queue = np.split(queue, [BATCH_SIZE])
        x, y = data.batch(batch)
        x = transform_images(x, sample_transforms(len(x), shift, warp, rng))
        loss = loss_of(heads(network(x), data), y, data)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        if step % STEPS_PER_CHECK == 0 or step == steps:
            _, y = data.batch(data.splits["valid"])
            valid_loss = loss_of(outputs_of(network, data, "valid"), y, data).item()
            # Without a validation label the loss is 0: the last network is kept.
            if valid_loss <= best_loss:
                best_loss, best = valid_loss, copy.deepcopy(network.state_dict())
    network.load_state_dict(best)


def heads(outputs: Tensor, data: LabeledImages) -> tuple[Tensor, ...]:
    """The outputs for each label."""
    return outputs.split([*map(num_outcomes, data.label_types)], dim=1)


@torch.no_grad()
def outputs_of(network: nn.Sequential, data: LabeledImages, split: str) -> tuple[Tensor, ...]:
    """The outputs for each label and for all images of a split, with the network as it is used."""
    network.eval()
    parts = np.array_split(data.splits[split], 1 + len(data.splits[split]) // 500)
    outputs = torch.cat([network(data.batch(rows)[0]) for rows in parts])
    network.train()
    return heads(outputs, data)


def loss_of(outputs: Sequence[Tensor], y: Tensor, data: LabeledImages) -> Tensor:
    """The sum of the labels' losses, each the mean over its known values."""
    total = torch.zeros(())
    for index, (output, column) in enumerate(zip(outputs, y.T, strict=True)):
        is_known = ~column.isnan()
        if not is_known.any():
            continue
        output, values, label = output[is_known], column[is_known], data.label_types[index]
        if isinstance(label, Categorical):
            total = total + F.cross_entropy(output, values.long())
        elif label.classes:
            total = total + F.binary_cross_entropy_with_logits(output[:, 0], values)
        else:
            mean, std = moments(data, index)
            total = total + F.mse_loss(output[:, 0], (values - mean) / std)
    return total


def moments(data: LabeledImages, index: int) -> tuple[float, float]:
    """Mean and standard deviation of the known training values of a label."""
    _, values = known(data, "train", index)
    return (float(values.mean()), float(values.std()) or 1.0) if len(values) else (0.0, 1.0)
