"""Preprocessing: how an image file becomes the pixels that a model takes."""

from __future__ import annotations

from dataclasses import dataclass

RESIZE_RULES = ("squash", "crop", "pad")


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes the pixels that a model takes: the same for every file.

    Loaders prepare all images of a set by it, :func:`~ccvae_pyro.train` keeps it in the model, and
    a checkpoint holds it, so that :func:`~ccvae_pyro.data.read_image` gives the same pixels later.
    In every case the image is turned upright (EXIF), and transparent pixels become white.

    :param size: the height and width to resize to, in pixels.
    :param channels: 1 for grey, 3 for color. A loader replaces None by 1 if all files of its set
        are grey, and else by 3.
    :param resize: what happens to an image that is not square: ``"squash"`` resizes the whole
        image to a square, ``"crop"`` cuts the largest square from its center, and ``"pad"`` adds
        white margins.
    :param crop: the side in pixels of a square to cut from the center first; by default none is.
    :param white: the value of a white pixel in files of more than 8 bits, such as 4095 for 12 bits
        in a 16-bit PNG, or 1 for a TIFF of fractions. A loader replaces None by the value that it
        finds from the largest one in its set.
    :raises ValueError: if a value is not one of those above.
    """

    size: int = 64
    channels: int | None = None
    resize: str = "squash"
    crop: int | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, None):
            raise ValueError(
                f"channels must be 1 (grey), 3 (color) or None, got {self.channels!r}"
            )
        if self.resize not in RESIZE_RULES:
            raise ValueError(f"resize must be one of {', '.join(RESIZE_RULES)}: {self.resize!r}")
        for name, least in (("size", 1), ("crop", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least} pixel, got {value!r}")
        if self.white is not None and not 0 < self.white < float("inf"):
            raise ValueError(f"white must be a positive number, got {self.white!r}")
