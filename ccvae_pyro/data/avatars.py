"""Avatars: cartoon faces with 40 attributes that are true of what is visible in the picture.

They are drawn by DiceBear's *avataaars*, a remix of Pablo Stanley's Avataaars, free for personal
and commercial use. Whatever could hide an attribute excludes it: eyes are described where no
glasses cover them, hair has a color where it shows.
"""

from __future__ import annotations

import io
import json
from functools import cache, partial
from importlib.resources import files
from importlib.util import find_spec
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

from ccvae_pyro.data import cache as image_cache
from ccvae_pyro.data.images import LabeledImages, random_splits

VERSION = 1  # of these tables: another version, another cache

# Each table: what is drawn (a color or variants), the labels that it earns, how often.
HAIR_COLORS = [
    ("#2c1b18", {"Black_Hair"}, 0.27),
    ("#95592b", {"Brown_Hair"}, 0.24),
    ("#e3bf6a", {"Blond_Hair"}, 0.17),
    ("#c93305", {"Red_Hair"}, 0.12),
    ("#b5b5bd", {"Gray_Hair"}, 0.10),
    ("#f57fa0", {"Pink_Hair"}, 0.10),
]
SKIN_COLORS = [
    ("#ffdbb4", {"Pale_Skin"}, 0.36),
    ("#d08b5b", set(), 0.26),
    ("#5a3b2e", {"Dark_Skin"}, 0.24),
    ("#f8d25c", {"Yellow_Skin"}, 0.14),
]
CLOTHES_COLORS = [
    ("#262e33", {"Black_Clothes"}, 0.25),
    ("#5199e4", {"Blue_Clothes"}, 0.25),
    ("#e4434f", {"Red_Clothes"}, 0.22),
    ("#ffffff", {"White_Clothes"}, 0.18),
    ("#4fbf7c", set(), 0.10),
]
TOPS = [
    (("shortFlat", "shortRound", "shortWaved", "theCaesar"), set(), 0.15),
    (("shortCurly", "curly"), {"Curly_Hair"}, 0.06),
    (("fro", "froBand"), {"Afro", "Curly_Hair"}, 0.10),
    (("dreads01", "dreads02"), {"Dreadlocks"}, 0.05),
    (("dreads",), {"Dreadlocks", "Long_Hair"}, 0.03),
    (("bun",), {"Hair_Bun"}, 0.07),
    (("straight01", "straight02", "bob"), {"Long_Hair"}, 0.11),
    (("straightAndStrand", "miaWallace"), {"Bangs", "Long_Hair"}, 0.09),
    ((), {"Bald"}, 0.10),
    (("hat",), {"Wearing_Hat"}, 0.07),
    (("winterHat02", "winterHat03", "winterHat1"), {"Wearing_Hat", "Wearing_Winter_Hat"}, 0.08),
    (("turban",), {"Wearing_Headscarf"}, 0.05),
    (("hijab",), {"Wearing_Headscarf"}, 0.04),
]
HIDES_HAIR = {"Bald", "Wearing_Hat", "Wearing_Headscarf"}
ACCESSORIES = [
    ((), set(), 0.60),
    (("prescription01", "prescription02", "round"), {"Eyeglasses"}, 0.19),
    (("kurt", "sunglasses", "wayfarers"), {"Sunglasses"}, 0.14),
    (("eyepatch",), {"Eyepatch"}, 0.07),
]
HIDES_EYES = {"Sunglasses", "Eyepatch"}
FACIAL_HAIR = [
    ((), set(), 0.62),
    (("beardLight", "beardMedium"), {"Beard"}, 0.16),
    (("beardMajestic",), {"Beard", "Long_Beard"}, 0.09),
    (("moustacheFancy", "moustacheMagnum"), {"Mustache"}, 0.13),
]
MOUTHS = [
    (("smile", "twinkle"), {"Smiling"}, 0.40),
    (("screamOpen",), {"Mouth_Wide_Open"}, 0.14),
    (("tongue",), {"Tongue_Out"}, 0.14),
    (("grimace",), set(), 0.10),
    (("serious", "sad"), set(), 0.22),
]
EYES = [
    (("default", "side"), set(), 0.54),
    (("closed", "happy"), {"Eyes_Closed"}, 0.16),
    (("surprised",), {"Wide_Eyes"}, 0.18),
    (("hearts",), {"Heart_Eyes"}, 0.12),
]
EYEBROWS = [
    (("default", "defaultNatural", "raisedExcited"), set(), 0.72),
    (("angry", "angryNatural"), {"Angry_Eyebrows"}, 0.28),
]
CLOTHES = [
    (("shirtCrewNeck", "shirtVNeck"), set(), 0.36),
    (("blazerAndShirt",), {"Wearing_Blazer"}, 0.18),
    (("hoodie",), {"Wearing_Hoodie"}, 0.16),
    (("overall",), {"Wearing_Overalls"}, 0.14),
    (("graphicShirt",), {"Printed_Shirt"}, 0.16),
]
_TABLES = [HAIR_COLORS, SKIN_COLORS, CLOTHES_COLORS, TOPS, ACCESSORIES, FACIAL_HAIR]
_TABLES += [MOUTHS, EYES, EYEBROWS, CLOTHES]
ATTRIBUTES = tuple(sorted({label for table in _TABLES for _, labels, _ in table for label in labels}))

# What one can see at 64 x 64 pixels without looking for it.
VISIBLE_ATTRIBUTES = (
    "Afro", "Bald", "Beard", "Black_Clothes", "Black_Hair", "Blond_Hair", "Blue_Clothes",
    "Brown_Hair", "Dark_Skin", "Eyeglasses", "Long_Hair", "Pale_Skin", "Red_Clothes", "Red_Hair",
    "Sunglasses", "Wearing_Blazer", "Wearing_Hat", "Wearing_Headscarf",
)  # fmt: skip

# Style: what varies in the picture and has no label.
HAT_COLORS = ("#25557c", "#929598", "#a7ffc4", "#ff5c5c", "#ffafb9", "#ffffb1")
BACKGROUNDS = ("#d5e4f2", "#e2dced", "#dcebd8", "#f2e6d5", "#e6e6e6", "#d3ecec")
GRAPHICS = ("bat", "bear", "cumbia", "resist", "skull")


def avatars(
    root: Path | str, num_images: int = 12_000, *, size: int = 64, seed: int = 0
) -> LabeledImages:
    """Avatars, drawn on first use and cached under ``root``; deterministic by seed.

    :param num_images: how many to draw; ten parts of twelve are for training.
    :param size: their height and width in pixels.
    :raises ModuleNotFoundError: if what draws them is not installed.
    """
    path = Path(root) / f"avatars-{num_images}-{size}px-seed{seed}-v{VERSION}.npy"
    if (cached := image_cache.read(path)) is not None:
        return cached
    if find_spec("dicebear") is None or find_spec("resvg_py") is None:
        raise ModuleNotFoundError("avatars need an extra: pip install 'ccvae-pyro[avatars]'")
    labels = np.empty((num_images, len(ATTRIBUTES)), dtype=np.uint8)

    def images() -> Iterator[np.ndarray]:
        draw_one = partial(draw, seed, size=size)
        drawn = image_cache.in_parallel(draw_one, range(num_images), "drawing avatars", "processes")
        for row, (image, labels[row]) in enumerate(drawn):
            yield image

    image_cache.write_images(path, images(), (num_images, size, size, 3))
    splits = random_splits(np.arange(num_images), seed)
    image_cache.write_labels(path, labels, ATTRIBUTES, splits)
    return image_cache.read(path)


def compose(rng: Generator) -> tuple[dict[str, Any], set[str]]:
    """Chooses an avatar: DiceBear's options for it, and the attributes that are true of it."""
    top, labels = _pick(rng, TOPS)
    labels = set(labels)
    hair_color, hair_labels = _pick(rng, HAIR_COLORS)
    if not labels & HIDES_HAIR:
        labels |= hair_labels
    accessories = _pick_into(labels, rng, ACCESSORIES)
    eyes = _pick_into(labels, rng, EYES[:1] if labels & HIDES_EYES else EYES)
    eyebrows = _pick_into(labels, rng, EYEBROWS[:1] if labels & HIDES_EYES else EYEBROWS)
    is_covered = top == "hijab"  # which falls over the chin and the clothes
    options = {
        "topVariant": top,
        "accessoriesVariant": accessories,
        "eyesVariant": eyes,
        "eyebrowsVariant": eyebrows,
        "mouthVariant": _pick_into(labels, rng, MOUTHS),
        "facialHairVariant": _pick_into(labels, rng, FACIAL_HAIR[:1] if is_covered else FACIAL_HAIR),
        "clothesVariant": _pick_into(labels, rng, CLOTHES[:1] if is_covered else CLOTHES),
        "clothesGraphicVariant": rng.choice(GRAPHICS),
        "skinColor": _pick_into(labels, rng, SKIN_COLORS),
        "clothesColor": _pick_into(labels, rng, CLOTHES_COLORS),
        "hairColor": hair_color,
        "facialHairColor": hair_color,
        "hatColor": rng.choice(HAT_COLORS),
        "accessoriesColor": "#262e33",
        "backgroundColor": rng.choice(BACKGROUNDS),
    }
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
        if name.endswith("Color"):
            options[name] = [choice]
        else:
            options[name] = [choice] if choice else []
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


def _pick(rng: Generator, table: list) -> tuple[str | None, set[str]]:
    """Draws a row of a table by its frequency, and one of its variants."""
    frequencies = np.array([frequency for _, _, frequency in table])
    drawn, labels, _ = table[rng.choice(len(table), p=frequencies / frequencies.sum())]
    if isinstance(drawn, tuple):
        drawn = drawn[rng.integers(len(drawn))] if drawn else None
    return drawn, labels


def _pick_into(labels: set[str], rng: Generator, table: list) -> str | None:
    drawn, new_labels = _pick(rng, table)
    labels |= new_labels
    return drawn
