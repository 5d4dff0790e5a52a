"""Loading of images from the cache, and by decoding their files."""

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data import Batches, LabeledImages, Preprocessing, cache, load_avatars, load_celeba
from ccvae_pyro.data.decoding import decode_image


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
    data = LabeledImages(data.images, data.labels, data.label_types, {"train": np.arange(600)})
    batches = Batches(data, 200)
    benchmark.pedantic(lambda: list(batches.epoch(1)), rounds=15, warmup_rounds=3, iterations=1)


@pytest.mark.benchmark(group="an epoch of 600 images of 178x218 pixels")
def test_decoding_each_image_again(benchmark, folder):
    paths = sorted((folder / "img_align_celeba").iterdir())

    def epoch():
        with cache.parallel_map(
            lambda path: decode_image(path, Preprocessing(64, 3), (178, 218)),
            paths,
            "decoding",
            num_items=len(paths),
        ) as images:
            return list(images)

    benchmark.pedantic(epoch, rounds=3, warmup_rounds=1, iterations=1)
