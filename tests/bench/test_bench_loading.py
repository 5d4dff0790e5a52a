"""What a step and a batch cost, beside what they could cost at the least: `make bench`.

Compare within a group: the figures in brackets are ratios to its fastest. Times are of this
machine and hour.
"""

import numpy as np
import pyro
import pytest
import torch
from PIL import Image
from pyro.infer import SVI
from pyro.optim import Adam

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, TiltedCCVAE_ELBO, networks
from ccvae_pyro.data import Batches, LabeledImages, cache, load_avatars, load_celeba
from ccvae_pyro.data.celeba import decode_image
from ccvae_pyro.devices import pick_precision

BATCH, NUM_LABELS, Z_DIM = 200, 18, 45
ROUNDS = {"rounds": 15, "warmup_rounds": 3, "iterations": 1}


@pytest.fixture
def images():
    torch.set_default_dtype(torch.float32)
    x = torch.rand(BATCH, 3, 64, 64).to(memory_format=torch.channels_last)
    y = torch.randint(2, (BATCH, NUM_LABELS)).float()
    return x, y


@pytest.mark.benchmark(group="a training step of 200 images")
def test_bare_networks(benchmark, images):
    """The networks' forward, backward and Adam: nothing of the objective."""
    x, _ = images
    encoder, decoder = networks.encoder_64(2 * Z_DIM), networks.decoder_64(Z_DIM)
    for network in (encoder, decoder):
        ccvae_pyro.set_precision(network, pick_precision("auto", x.device))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

    def step():
        optimizer.zero_grad()
        decoder(encoder(x)[:, :Z_DIM]).sigmoid().mean().backward()
        optimizer.step()

    benchmark.pedantic(step, **ROUNDS)


def hide(y, labels):
    """The labels as they are, none, or half of the entries."""
    if labels == "half known":
        y = torch.where(torch.rand_like(y) < 0.5, torch.nan, y)
    return (y,) if labels != "unlabeled" else ()


@pytest.mark.parametrize("labels", ["labeled", "unlabeled", "half known"])
@pytest.mark.parametrize("objective", [CCVAE_ELBO, TiltedCCVAE_ELBO])
@pytest.mark.benchmark(group="a training step of 200 images")
def test_objective(benchmark, images, objective, labels):
    ccvae = ccvae_pyro.celeba(NUM_LABELS, Z_DIM)
    ccvae_pyro.set_precision(ccvae, pick_precision("auto", images[0].device))
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=objective())
    x, y = images
    with pyro.get_param_store().scope():
        benchmark.pedantic(svi.step, (x, *hide(y, labels)), **ROUNDS)


@pytest.mark.parametrize("order_weight", [0.0, 20.0])
@pytest.mark.benchmark(group="a labeled step of TiltedCCVAE_ELBO, with the term about orders")
def test_orders(benchmark, images, order_weight):
    ccvae = ccvae_pyro.celeba(NUM_LABELS, Z_DIM)
    ccvae_pyro.set_precision(ccvae, pick_precision("auto", images[0].device))
    objective = TiltedCCVAE_ELBO(order_weight=order_weight)
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=objective)
    with pyro.get_param_store().scope():
        benchmark.pedantic(svi.step, images, **ROUNDS)


@pytest.mark.parametrize("num_labels", [18, 40, 312])
@pytest.mark.benchmark(group="a labeled step of TiltedCCVAE_ELBO, by the number of labels")
def test_number_of_labels(benchmark, images, num_labels):
    ccvae = ccvae_pyro.celeba(num_labels, 340)  # the same networks for all
    ccvae_pyro.set_precision(ccvae, pick_precision("auto", images[0].device))
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=TiltedCCVAE_ELBO())
    y = torch.randint(2, (BATCH, num_labels)).float()
    with pyro.get_param_store().scope():
        benchmark.pedantic(svi.step, (images[0], y), **ROUNDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """600 images of CelebA's size, as JPEG files and in the cache."""
    root = tmp_path_factory.mktemp("celeba")
    (root / "img_align_celeba").mkdir()
    faces = load_avatars(root, 600, size=218)
    for row, image in enumerate(faces.images):
        path = root / "img_align_celeba" / f"{row}.jpg"
        Image.fromarray(image[:, 20:198]).save(path, quality=90)
    rows = [f"{row}.jpg {' '.join('1' * 3)}" for row in range(600)]
    (root / "list_attr_celeba.txt").write_text("\n".join(["600", "A B C", *rows]))
    return root


@pytest.mark.benchmark(group="an epoch of 600 images of 178x218 pixels")
def test_loading_from_the_cache(benchmark, folder):
    data = load_celeba(folder)
    data = LabeledImages(data.images, data.labels, data.kinds, {"train": np.arange(600)})
    batches = Batches(data, BATCH)
    benchmark.pedantic(lambda: list(batches.epoch(1)), **ROUNDS)


@pytest.mark.benchmark(group="an epoch of 600 images of 178x218 pixels")
def test_decoding_each_image_again(benchmark, folder):
    paths = sorted((folder / "img_align_celeba").iterdir())

    def epoch():
        with cache.in_parallel(
            lambda path: decode_image(path, 64, None, (178, 218)), paths, "decoding"
        ) as images:
            return list(images)

    benchmark.pedantic(epoch, rounds=3, warmup_rounds=1, iterations=1)
