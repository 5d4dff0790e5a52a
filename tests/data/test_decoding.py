"""Decoding image files of any mode."""

import numpy as np
import pytest
import torch
from PIL import Image

from ccvae_pyro.data import load_image_csv, read_image


def load(root, num, size=8):
    """The images ``0.png`` to ``{num - 1}.png``, from the cache."""
    lines = [f"{i}.png,{i % 2}" for i in range(num)]
    (root / "labels.csv").write_text("\n".join(["file,x", *lines]))
    return load_image_csv(root, root / "labels.csv", size=size)


def solid(mode, value):
    return Image.new(mode, (12, 9), value)


def transparent():
    image = Image.new("RGBA", (12, 9), (200, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 6, 9))
    return image


IMAGES = {
    "grey": (solid("L", 77), (1,), [77]),
    "one bit": (solid("1", 1), (1,), [255]),
    "16 bits": (Image.fromarray(np.full((9, 12), 77 * 256, np.uint16)), (1,), [77]),
    "grey over white": (solid("LA", (77, 0)), (1,), [255]),
    "color": (solid("RGB", (1, 2, 3)), (3,), [1, 2, 3]),
    "palette": (solid("RGB", (1, 2, 3)).quantize(2), (3,), [1, 2, 3]),
    "color over white": (transparent(), (3,), [255, 255, 255]),
}


@pytest.mark.parametrize(("image", "channels", "pixel"), IMAGES.values(), ids=IMAGES)
def test_images_of_any_mode_are_read(tmp_path, image, channels, pixel):
    for i in range(3):
        image.save(tmp_path / f"{i}.png")
    data = load(tmp_path, 3)
    assert data.images.shape[3:] == channels
    assert data.images[2, 4, 7].tolist() == pixel


def test_a_palette_may_have_a_transparent_color(tmp_path):
    image = transparent().quantize(4)
    image.save(tmp_path / "0.png", transparency=image.getpixel((11, 4)))
    left, right = load(tmp_path, 1, size=12).images[0, 4, [0, 11]]
    assert left.tolist() == [200, 0, 0]
    assert right.tolist() == [255, 255, 255]


def test_read_image_cuts_the_square_at_the_center_upright(tmp_path):
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    image.paste((0, 255, 0), (5, 0, 15, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # the file is rotated by 90 degrees
    image.save(tmp_path / "a.png", exif=exif)
    x = read_image(tmp_path / "a.png", 4)
    assert x.shape == (1, 3, 4, 4)
    assert torch.equal(x[0, :, 1, 1], torch.tensor([0.0, 1.0, 0.0], dtype=x.dtype))
    assert read_image(tmp_path / "a.png", 4, channels=1).shape == (1, 1, 4, 4)


def test_read_image_raises_one_clear_error(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png", 4)
    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        read_image(tmp_path / "b.png", 4)
