"""Decoding image files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ccvae_pyro.data.prefetch import as_floats

_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F"}


def read_image(path: Path, size: int, channels: int = 3) -> Tensor:
    """Reads one image as a model takes it: the square at its center, in [0, 1].

    :param size: the height and width to resize to, in pixels.
    :param channels: 3 for color, 1 for grey.
    :returns: shape ``(1, channels, size, size)``.
    :raises ValueError: if the file cannot be read as an image.
    :raises FileNotFoundError: if there is no such file.
    """
    image = _open(path, lambda file: _convert(ImageOps.exif_transpose(file), channels))
    square = np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
    return as_floats(torch.from_numpy(square.reshape(1, size, size, channels)))


def decode_image(
    path: Path,
    size: int,
    crop: int | None = None,
    expected_size: tuple[int, int] | None = None,
    channels: int = 3,
) -> np.ndarray | Exception:
    """Decodes one image for the cache, or returns the error (rather than raising it).

    :param size: the height and width to resize to.
    :param crop: the side of a square to cut from the center first.
    :param expected_size: the width and height that the file must have.
    :returns: uint8, shape ``(size, size, channels)``, or an error.
    """
    try:
        image = _open(path, partial(_convert, channels=channels))
    except FileNotFoundError:
        return FileNotFoundError(f"the list names {path}, which does not exist")
    except ValueError as error:
        return ValueError(f"{error}; skip-unreadable leaves such images out")
    if expected_size is not None and image.size != expected_size:
        width, height = expected_size
        return ValueError(
            f"{path} is {image.width}x{image.height}, others are {width}x{height}: "
            "aligned images must all have the same size"
        )
    if crop is not None:
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    resized = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return resized.reshape(size, size, channels)


def is_grey(path: Path) -> bool:
    """Whether a file is a grey image, or no readable image at all."""
    try:
        with Image.open(path) as file:
            return file.mode in _GREY_MODES
    except (OSError, SyntaxError, ValueError):
        return True


def image_size(path: Path) -> tuple[int, int] | None:
    """The width and height of an image file, or None if it cannot be read."""
    try:
        with Image.open(path) as file:
            return file.size
    except OSError:
        return None


def _open(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Opens an image file and converts the image while the file is open."""
    try:
        with Image.open(path) as file:
            return convert(file)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three
        raise ValueError(f"{path} cannot be read as an image ({error})") from error


def _convert(image: Image.Image, channels: int) -> Image.Image:
    """Converts an image to grey or color; transparent pixels become white."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip to 8
        image = Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB" if channels == 3 else "L")
