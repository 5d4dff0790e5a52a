"""Avatars: cartoon faces with 40 attributes that are true of what is visible in the picture.

They are drawn by DiceBear's *avataaars*, a remix of Pablo Stanley's Avataaars, free for personal
and commercial use. Whatever could hide an attribute excludes it: eyes are described where no
glasses cover them, hair has a color where it shows.
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
from ccvae_pyro.data.splits import random_splits


def load_avatars(
    root: Path | str, num_images: int = 12_000, *, size: int = 64, seed: int = 0
) -> LabeledImages:
    """Avatars, drawn on first use and cached under ``root``; deterministic by seed.

    :param num_images: how many to draw; ten parts of twelve are for training.
    :param size: their height and width in pixels.
    :raises ModuleNotFoundError: if what draws them is not installed.
    """
    path = Path(root) / f"avatars-{num_images}-{size}px-seed{seed}-v{tables.VERSION}.npy"
    if (cached := image_cache.read(path)) is not None:
        return cached
    if find_spec("dicebear") is None or find_spec("resvg_py") is None:
        raise ModuleNotFoundError("avatars need an extra: pip install 'ccvae-pyro[avatars]'")
    labels = np.empty((num_images, len(ATTRIBUTES)), dtype=np.uint8)

    def images() -> Generator[np.ndarray, None, None]:
        draw_one = partial(draw, seed, size=size)
        rows = range(num_images)
        with image_cache.in_parallel(draw_one, rows, "drawing avatars", "processes") as drawn:
            for row, (image, labels_of_row) in zip(rows, drawn, strict=True):
                labels[row] = labels_of_row
                yield image

    image_cache.write_images(path, images(), (num_images, size, size, 3))
    splits = random_splits(np.arange(num_images), seed)
    image_cache.write_labels(path, labels, ATTRIBUTES, splits)
    return image_cache.read(path)


def compose(rng: np.random.Generator) -> tuple[dict[str, Any], set[str]]:
    """Chooses an avatar: DiceBear's options for it, and the attributes that are true of it."""
    labels: set[str] = set()

    def pick(table: tables.Table, *, is_seen: bool = True) -> str | None:
        """Draws one of a table's choices; unseen, the first, which makes no attribute true."""
        frequencies = np.array([frequency for *_, frequency in table])
        row = rng.choice(len(table), p=frequencies / frequencies.sum()) if is_seen else 0
        drawn, new_labels, _ = table[row]
        labels.update(new_labels)
        return drawn if isinstance(drawn, str) else rng.choice(drawn) if drawn else None

    top = pick(tables.TOPS)
    accessories = pick(tables.ACCESSORIES)
    shows_eyes = not labels & tables.HIDES_EYES
    shows_chest = top != "hijab"  # which falls over chin and clothes
    options = {
        "topVariant": top,
        "accessoriesVariant": accessories,
        "eyesVariant": pick(tables.EYES, is_seen=shows_eyes),
        "eyebrowsVariant": pick(tables.EYEBROWS, is_seen=shows_eyes),
        "mouthVariant": pick(tables.MOUTHS),
        "facialHairVariant": pick(tables.FACIAL_HAIR, is_seen=shows_chest),
        "clothesVariant": pick(tables.CLOTHES, is_seen=shows_chest),
        "clothesGraphicVariant": rng.choice(tables.GRAPHICS),
        "skinColor": pick(tables.SKIN_COLORS),
        "clothesColor": pick(tables.CLOTHES_COLORS),
        "hatColor": rng.choice(tables.HAT_COLORS),
        "accessoriesColor": "#262e33",
        "backgroundColor": rng.choice(tables.BACKGROUNDS),
    }
    hair_labels = {label for _, names, _ in tables.HAIR_COLORS for label in names}
    options["hairColor"] = options["facialHairColor"] = pick(tables.HAIR_COLORS)
    if labels & tables.HIDES_HAIR:
        labels -= hair_labels
    return options, labels


def draw(seed: int, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws avatar number ``index`` of the set that belongs to ``seed``.

    :returns: the image, uint8 of shape ``(size, size, 3)``, and its labels, 0 or 1, of shape
        ``(len(ATTRIBUTES),)``.
    """
    import resvg_py
    from dicebear import Avatar

    rng = np.random.default_rng((seed, index))
    choices, labels = compose(rng)
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
    return image, np.array([label in labels for label in ATTRIBUTES], dtype=np.uint8)


@cache
def _style() -> Any:
    from dicebear import Style

    return Style(json.loads((files("dicebear_styles") / "avataaars.json").read_text("utf-8")))
