"""Image files, decoded once into the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ccvae_pyro.data import cache as image_cache
from ccvae_pyro.data.labeled_images import as_floats

_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F"}


def cache_path(
    root: Path, files: Sequence[str], size: int, channels: int | None, skip_unreadable: bool
) -> Path:
    """Where the decoded images of a folder are cached: another list, another file."""
    settings = [list(files), size, channels, skip_unreadable]
    digest = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
    return root / image_cache.FOLDER / f"images-{size}px-{digest}.npy"


def load_images(
    path: Path, paths: Sequence[Path], size: int, channels: int | None, skip_unreadable: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Images from the cache file at ``path``, which is made of the files ``paths`` on first use.

    :returns: the images, and which of them could be read.
    :raises ValueError: if ``channels`` is not 1, 3 or None, or an image cannot be read.
    """
    if channels not in (1, 3, None):
        raise ValueError(f"channels must be 1 (grey), 3 (color) or None, got {channels}")
    if (cached := image_cache.read_arrays(path)) is None:
        channels = channels or (1 if all(map(_is_grey, paths)) else 3)
        decode = partial(decode_image, size=size, channels=channels)
        is_readable = decode_all(path, paths, decode, (size, size, channels), skip_unreadable)
        image_cache.write_arrays(path, is_readable=is_readable)
        cached = image_cache.read_arrays(path)
    images, arrays = cached
    return images, arrays["is_readable"]


def decode_all(
    path: Path,
    paths: Sequence[Path],
    decode: Callable[[Path], np.ndarray | Exception],
    shape: tuple[int, int, int],
    skip_unreadable: bool,
) -> np.ndarray:
    """Decodes images of one shape into the cache; returns which of them could be read."""
    is_readable = np.ones(len(paths), dtype=bool)
    blank = np.zeros(shape, dtype=np.uint8)

    def images() -> Generator[np.ndarray, None, None]:
        with image_cache.in_parallel(decode, paths, "decoding images") as decoded:
            for row, image in enumerate(decoded):
                if isinstance(image, Exception):
                    if not skip_unreadable:
                        raise image
                    is_readable[row] = False
                yield image if is_readable[row] else blank
        if not is_readable.any():
            raise ValueError(f"none of {len(paths)} images can be read, such as {paths[0]}")

    image_cache.write_images(path, images(), (len(paths), *shape))
    if not is_readable.all():
        print(f"left out {(~is_readable).sum()} of {len(paths)} images that cannot be read")
    return is_readable


def decode_image(
    path: Path,
    size: int,
    crop: int | None = None,
    expected: tuple[int, int] | None = None,
    channels: int = 3,
) -> np.ndarray | Exception:
    """Reads one image at the training size, or says what is wrong with it.

    :param crop: the side of a square to cut from the center first.
    :param expected: the width and height that all images have, if they are of one size.
    """
    try:
        image = _read(path, partial(_converted, channels=channels))
    except FileNotFoundError:
        return FileNotFoundError(f"the list names {path}, which is not there")
    except ValueError as error:
        return ValueError(f"{error}; skip-unreadable leaves such images out")
    if expected is not None and image.size != expected:
        return ValueError(
            f"{path} is {image.width}x{image.height}, others are {expected[0]}x{expected[1]}: "
            "aligned images are of one size"
        )
    if crop is not None:
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    resized = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
    return resized.reshape(size, size, channels)


def read_image(path: Path, size: int, channels: int = 3) -> Tensor:
    """One image as a model takes it: a square from its middle, in [0, 1].

    :param size: of the sides that it is to have, in pixels.
    :param channels: 3 for color, 1 for grey.
    :returns: shape ``(1, channels, size, size)``.
    :raises ValueError: if the file cannot be read as an image.
    :raises FileNotFoundError: if it is not there.
    """
    image = _read(path, lambda file: _converted(ImageOps.exif_transpose(file), channels))
    square = np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))
    return as_floats(torch.from_numpy(square.reshape(1, size, size, channels)))


def _read(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """What a file's image is converted to, while the file is open."""
    try:
        with Image.open(path) as file:
            return convert(file)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three
        raise ValueError(f"{path} cannot be read as an image ({error})") from error


def _converted(image: Image.Image, channels: int) -> Image.Image:
    """An image in grey or in color, over white where it is transparent."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip to 8
        image = Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB" if channels == 3 else "L")


def _is_grey(path: Path) -> bool:
    try:
        with Image.open(path) as file:
            return file.mode in _GREY_MODES
    except (OSError, SyntaxError, ValueError):
        return True  # whatever it is, it asks for no color
