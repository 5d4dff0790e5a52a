"""Decoding image files: the one way in which a file becomes pixels."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ccvae_pyro.data.files import Packed, open_regular
from ccvae_pyro.data.prefetch import as_floats
from ccvae_pyro.data.preprocessing import Preprocessing

_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F"}
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What white may be in files of more than 8 bits: fractions, or 8, 10, 12, 14 or 16 bits.
_WHITES = (1, 255, 1023, 4095, 16383, 65535)
# Bytes in an order of Pillow's in which it takes the low byte of 16 bits rather than the high one.
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def read_image(path: Path | str, preprocessing: Preprocessing) -> Tensor:
    """Reads one image file as a model takes it, with values in [0, 1].

    With the ``preprocessing`` of a data set or of a model, the pixels are those that the model was
    trained on, bit for bit::

        x = read_image("face.jpg", model.preprocessing)

    :param preprocessing: how to prepare the image. If it has no number of channels, a grey file
        has one. If it says nothing about white, a file of more than 8 bits is scaled by its own
        largest value.
    :returns: shape ``(1, channels, size, size)``.
    :raises ValueError: if the file cannot be read as an image; names the path.
    :raises FileNotFoundError: if there is no such file.
    """
    with without_warnings():
        pixels = decode_image(Path(path), preprocessing)
    return as_floats(torch.from_numpy(pixels[None]))


def decode_image(
    path: Path | Packed, preprocessing: Preprocessing, expected_size: tuple[int, int] | None = None
) -> np.ndarray:
    """Decodes one image file, or one that is packed in another.

    Pillow warns of much that it tolerates: see :func:`without_warnings`.

    :param expected_size: the width and height that the upright image must have.
    :returns: uint8, shape ``(size, size, channels)``.
    :raises ValueError: if the file cannot be read as an image; names the path.
    :raises FileNotFoundError: if there is no such file.
    """
    image = _read_upright(path, preprocessing.white)
    if expected_size is not None and image.size != expected_size:
        width, height = expected_size
        raise ValueError(
            f"{path} is {image.width}x{image.height}, others are {width}x{height}: "
            "aligned images must all have the same size"
        )
    channels = preprocessing.channels or (1 if image.mode == "L" else 3)
    image = image.convert("RGB" if channels == 3 else "L")
    square = _resize(_crop(image, preprocessing.crop, path), preprocessing)
    return np.array(square).reshape(preprocessing.size, preprocessing.size, channels)


@dataclass(frozen=True)
class ImageInfo:
    """What a set of images has to agree on.

    :param is_grey: whether a file is a grey image, or no readable image at all.
    :param peak: the largest value in a file of more than 8 bits, else None.
    """

    is_grey: bool = True
    peak: float | None = None


def inspect_image(path: Path | Packed) -> ImageInfo:
    """Inspects an image file. Its pixels are decoded only if they have more than 8 bits."""
    try:
        with _opened(path) as (image, file):
            is_grey, deep = _is_grey(image), _deep_values(image, file)
        return ImageInfo(is_grey, None if deep is None else _peak(deep, path))
    except (ValueError, OSError):
        return ImageInfo()  # decoding it gives the error


def find_white(peaks: Iterable[tuple[float | None, Path | Packed]]) -> float | None:
    """The value of white in the files of a set that have more than 8 bits, None if none has.

    It is the largest value of the fewest bits that hold the values of all files.

    :param peaks: the ``peak`` of each file, and its path.
    :raises ValueError: if no number of bits goes with the values.
    """
    deep = [(peak, path) for peak, path in peaks if peak is not None]
    return _white_of(*max(deep, key=lambda item: item[0])) if deep else None


def image_size(path: Path | Packed) -> tuple[int, int] | None:
    """The width and height of the upright image in a file, or None if it cannot be read."""
    try:
        return _read_upright(path, None).size
    except (ValueError, OSError):
        return None


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silences Pillow, which warns of what it tolerates in a file, such as damaged metadata.

    Filters of warnings belong to the whole process: they are set here for all threads that decode.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _read_upright(path: Path | Packed, white: float | None) -> Image.Image:
    """The upright image of a file, grey (``"L"``) or in color (``"RGB"``), over white."""
    with _opened(path) as (image, file):
        is_grey, deep = _is_grey(image), _deep_values(image, file)
        image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)  # Pillow turns TIFFs as it loads them
        flat = image if deep is not None else _over_white(image, is_grey)
    if deep is not None:
        white = white or _white_of(_peak(deep, path), path)
        flat = _over_white(_to_8_bits(deep, white, path), is_grey)
    return flat.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else flat


@contextmanager
def _opened(path: Path | Packed) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Opens an image file. Any error in the block becomes one that names the path."""
    try:
        opened = open_regular(path) if isinstance(path, Path) else path.open()
        with opened as file, Image.open(file, formats=_formats()) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise ValueError(
                    f"its header says {image.width}x{image.height} pixels, and Pillow's limit, "
                    f"PIL.Image.MAX_IMAGE_PIXELS, is {limit}"
                )
            yield image, file
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    # Damaged files make the decoders of Pillow raise nearly anything: OSError, ValueError,
    # SyntaxError, DecompressionBombError, struct.error, zlib.error, IndexError, MemoryError, ...
    except Exception as error:
        raise ValueError(f"{path} cannot be read as an image ({_reason(error)})") from error


@cache
def _formats() -> tuple[str, ...]:
    """The formats to read: not EPS, which Pillow has Ghostscript execute."""
    Image.init()
    return tuple(name for name in Image.ID if name != "EPS")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its format is unknown"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (reason.strip() or type(error).__name__).splitlines()[0]


def _is_grey(image: Image.Image) -> bool:
    """Whether an image that has not been loaded is grey."""
    return image.mode in _GREY_MODES or _raw_mode(image).startswith("LA")


def _raw_mode(image: Any) -> str:
    """Pillow's name of how the pixels lie in the file, as long as they have not been loaded."""
    arguments = image.tile[0][3] if getattr(image, "tile", None) else ""
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw_mode if isinstance(raw_mode, str) else ""


def _deep_values(image: Image.Image, file: BinaryIO) -> np.ndarray | None:
    """The values of an image of more than 8 bits, or None if it has 8 bits or fewer.

    :param image: an image that has not been loaded.
    :returns: shape ``(height, width, bands)``: 1 or 3 bands, or 4 if there is transparency.
    """
    transparency = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)[..., None]
    elif image.mode in ("RGB", "RGBA") and (found := re.search(r";16([BLN])", _raw_mode(image))):
        # Pillow keeps the high byte of each value. The low byte is read as if it were the high.
        swapped = _raw_mode(image).replace(found[0], f";16{_SWAPPED[found[1]]}")
        is_grey = swapped.startswith("LA")
        with Image.open(file, formats=_formats()) as again:
            _set_raw_mode(again, "RGBA" if is_grey else swapped)
            low = np.asarray(again)
        low = low[..., [1, 1, 1, 3]] if is_grey else low  # grey, its low byte, alpha, its low byte
        values = np.asarray(image).astype(np.uint16) * 256 + low
    else:
        return None
    if transparency is None or values.shape[-1] == 4:
        return values
    is_opaque = (values != np.asarray(transparency)).any(axis=-1, keepdims=True)
    color = np.broadcast_to(values, (*values.shape[:2], 3))
    return np.concatenate([color, is_opaque * values.max()], axis=-1)


def _set_raw_mode(image: Any, raw_mode: str) -> None:
    """Has Pillow take the pixels of a file in another way."""
    tiles: list[Any] = []
    for tile in image.tile:
        *others, arguments = tile
        changed = (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
        make = getattr(type(tile), "_make", tuple)  # a tuple before Pillow 11, then a named one
        tiles.append(make((*others, changed)))
    image.tile = tiles


def _peak(values: np.ndarray, path: Path | Packed) -> float:
    """The largest value of a color.

    :raises ValueError: if a value is negative or not finite.
    """
    colors = values[..., :3]
    lowest, highest = float(colors.min()), float(colors.max())
    if not (lowest >= 0 and highest < float("inf")):
        raise ValueError(
            f"{path} has values from {lowest:.6g} to {highest:.6g}: wanted numbers from 0, black, "
            "up to white; convert it first"
        )
    return highest


def _white_of(peak: float, path: Path | Packed) -> float:
    """The value of white, given the largest value and the file that has it."""
    white = next((white for white in _WHITES if peak <= white), None)
    if white is None or peak < white / 4:
        raise ValueError(
            f"{path} has more than 8 bits and values up to {peak:.6g}, which leaves open what "
            "white is: say it with white, such as 1 for fractions or 65535 for 16 bits"
        )
    return white


def _to_8_bits(values: np.ndarray, white: float, path: Path | Packed) -> Image.Image:
    """Scales values so that white becomes 255.

    :raises ValueError: if they exceed white, or are fractions where white is none.
    """
    peak = _peak(values, path)
    is_fraction = values.dtype.kind == "f" and 0 < peak <= 1 < white
    if peak > white or is_fraction:
        kind = "fractions" if is_fraction else "values"
        raise ValueError(
            f"{path} has {kind} up to {peak:.6g}, but white is {white:.6g} in the other images: "
            "convert it, or say what white is with white"
        )
    scaled = values[..., :3] * (255 / white)
    if values.shape[-1] == 4:
        alpha = values[..., 3:].astype(np.float64)
        opaque = max(white, float(alpha.max()))
        scaled = np.concatenate([scaled, alpha * (255 / opaque)], axis=-1)
    pixels = np.rint(scaled).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _over_white(image: Image.Image, is_grey: bool) -> Image.Image:
    """An image in grey or in color, whose transparent pixels become white."""
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if is_grey else "RGB")


def _crop(image: Image.Image, side: int | None, path: Path | Packed) -> Image.Image:
    """Cuts a square from the center."""
    if side is None:
        return image
    if side > min(image.size):
        raise ValueError(
            f"{path} is {image.width}x{image.height}: a square of {side} pixels cannot be cut "
            "from it; choose a smaller crop"
        )
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resizes an image to a square by the rule of a preprocessing."""
    size = (preprocessing.size, preprocessing.size)
    if preprocessing.resize == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    if preprocessing.resize == "pad":
        return ImageOps.pad(image, size, Image.Resampling.BILINEAR, color="white")
    return image.resize(size, Image.Resampling.BILINEAR)
