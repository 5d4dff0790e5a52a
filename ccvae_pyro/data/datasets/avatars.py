"""Avatars: cartoon faces with 40 binary attributes that describe exactly what is visible.

They are drawn by DiceBear's *avataaars*, a remix of Pablo Stanley's Avataaars, free for personal
and commercial use. An attribute that is hidden in the image is false: sunglasses hide the shape of
the eyes, and a hat hides the color of the hair.
"""

from __future__ import annotations

import io
import json
from collections.abc import Generator
from functools import cache, partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ccvae_pyro.data import cache as image_cache
from ccvae_pyro.data.datasets import _avatar_tables as tables
from ccvae_pyro.data.datasets._avatar_tables import ATTRIBUTES
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import random_splits


def load_avatars(
    root: Path | str, num_images: int = 12_000, *, size: int = 64, seed: int = 0
) -> LabeledImages:
    """Avatars, drawn on first use and cached in ``root``.

    Image ``i`` depends only on ``seed`` and ``i``.

    :param root: the folder of the cache. If it cannot be written, the cache is in a folder of the
        user: ``$XDG_CACHE_HOME`` or ``~/.cache``, then ``ccvae_pyro``.
    :param num_images: the number of images; 10/12 of them are for training.
    :param size: the height and width in pixels.
    :param seed: of the avatars and of the split.
    :raises ModuleNotFoundError: if the extra ``avatars`` is not installed.
    """
    name = f"avatars-{num_images}-{size}px-seed{seed}-v{tables.VERSION}.npy"
    is_usable = (Path(root) / name).exists() or image_cache.is_writable(Path(root))
    path = (Path(root) if is_usable else image_cache.user_cache_folder()) / name
    # Drawn images are square; another image is cut to its central square rather than distorted.
    preprocessing = Preprocessing(size, 3, "crop")
    data = image_cache.read_labeled_images(path, num_images, preprocessing)
    if data is not None:
        return data
    if find_spec("dicebear") is None or find_spec("resvg_py") is None:
        raise ModuleNotFoundError("avatars need an extra: pip install 'ccvae-pyro[avatars]'")
    labels = np.empty((num_images, len(ATTRIBUTES)), dtype=np.uint8)

    def images() -> Generator[np.ndarray, None, None]:
        draw_one = partial(draw, seed, size=size)
        rows = range(num_images)
        with image_cache.parallel_map(
            draw_one, rows, "drawing avatars", "processes", num_items=num_images
        ) as drawn:
            for row, (image, image_labels) in enumerate(drawn):
                labels[row] = image_labels
                yield image

    image_cache.write_images(path, images(), (num_images, size, size, 3))
    splits = random_splits(np.arange(num_images), seed)
    image_cache.write_binary_labels(path, labels, ATTRIBUTES, splits)
    data = image_cache.read_labeled_images(path, num_images, preprocessing)
    if data is None:
        raise OSError(f"the cache {path} was damaged as soon as it was written")
    return data


def compose(rng: np.random.Generator) -> tuple[dict[str, Any], set[str]]:
    """Samples an avatar.

    :returns: DiceBear's options, and the attributes that are true.
    """
    attributes: set[str] = set()

    def sample(table: tables.Table, *, is_visible: bool = True) -> str | None:
        """Samples a row of a table; if it is not visible, the first row, without attributes."""
        frequencies = np.array([frequency for *_, frequency in table])
        row = rng.choice(len(table), p=frequencies / frequencies.sum()) if is_visible else 0
        choice, new_attributes, _ = table[row]
        attributes.update(new_attributes)
        if isinstance(choice, str):
            return choice
        return str(rng.choice(choice)) if choice else None

    top = sample(tables.TOPS)
    accessories = sample(tables.ACCESSORIES)
    are_eyes_visible = not attributes & tables.HIDES_EYES
    is_chest_visible = top != "hijab"  # a hijab covers chin and clothes
    options = {
        "topVariant": top,
        "accessoriesVariant": accessories,
        "eyesVariant": sample(tables.EYES, is_visible=are_eyes_visible),
        "eyebrowsVariant": sample(tables.EYEBROWS, is_visible=are_eyes_visible),
        "mouthVariant": sample(tables.MOUTHS),
        "facialHairVariant": sample(tables.FACIAL_HAIR, is_visible=is_chest_visible),
        "clothesVariant": sample(tables.CLOTHES, is_visible=is_chest_visible),
        "clothesGraphicVariant": rng.choice(tables.GRAPHICS),
        "skinColor": sample(tables.SKIN_COLORS),
        "clothesColor": sample(tables.CLOTHES_COLORS),
        "hatColor": rng.choice(tables.HAT_COLORS),
        "accessoriesColor": "#262e33",
        "backgroundColor": rng.choice(tables.BACKGROUNDS),
    }
    hair_colors = {name for _, names, _ in tables.HAIR_COLORS for name in names}
    options["hairColor"] = options["facialHairColor"] = sample(tables.HAIR_COLORS)
    if attributes & tables.HIDES_HAIR:
        attributes -= hair_colors
    return options, attributes


def draw(seed: int, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws the avatar with a given index in the set with a given seed.

    :returns: the image, uint8 of shape ``(size, size, 3)``, and its labels, 0 or 1, of shape
        ``(len(ATTRIBUTES),)``.
    """
    import resvg_py
    from dicebear import Avatar

    rng = np.random.default_rng((seed, index))
    choices, attributes = compose(rng)
    options: dict[str, Any] = {"seed": "ccvae", "size": size}
    for name, choice in choices.items():
        options[name] = [str(choice)] if choice else []
        if name.endswith("Variant"):
            options[name.replace("Variant", "Probability")] = 100 if choice else 0
    options["rotate"] = rng.uniform(-6, 6)
    options["flip"] = "horizontal" if rng.random() < 0.5 else "none"
    svg = Avatar(_style(), options).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return image, np.array([name in attributes for name in ATTRIBUTES], dtype=np.uint8)


@cache
def _style() -> Any:
    from dicebear import Style

    return Style(json.loads((files("dicebear_styles") / "avataaars.json").read_text("utf-8")))
