"""The variants and colors of avatars, the attributes that they imply, and their frequencies."""

from __future__ import annotations

from collections.abc import Sequence

VERSION = 1  # part of the cache's name: increase it with any change to these tables

# Rows of a color or a choice of variants, the attributes that it makes true, its frequency.
Table = Sequence[tuple[str | tuple[str, ...], set[str], float]]

HAIR_COLORS: Table = [
    ("#2c1b18", {"Black_Hair"}, 0.27),
    ("#95592b", {"Brown_Hair"}, 0.24),
    ("#e3bf6a", {"Blond_Hair"}, 0.17),
    ("#c93305", {"Red_Hair"}, 0.12),
    ("#b5b5bd", {"Gray_Hair"}, 0.10),
    ("#f57fa0", {"Pink_Hair"}, 0.10),
]
SKIN_COLORS: Table = [
    ("#ffdbb4", {"Pale_Skin"}, 0.36),
    ("#d08b5b", set(), 0.26),
    ("#5a3b2e", {"Dark_Skin"}, 0.24),
    ("#f8d25c", {"Yellow_Skin"}, 0.14),
]
CLOTHES_COLORS: Table = [
    ("#262e33", {"Black_Clothes"}, 0.25),
    ("#5199e4", {"Blue_Clothes"}, 0.25),
    ("#e4434f", {"Red_Clothes"}, 0.22),
    ("#ffffff", {"White_Clothes"}, 0.18),
    ("#4fbf7c", set(), 0.10),
]
TOPS: Table = [
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
ACCESSORIES: Table = [
    ((), set(), 0.60),
    (("prescription01", "prescription02", "round"), {"Eyeglasses"}, 0.19),
    (("kurt", "sunglasses", "wayfarers"), {"Sunglasses"}, 0.14),
    (("eyepatch",), {"Eyepatch"}, 0.07),
]
HIDES_EYES = {"Sunglasses", "Eyepatch"}
FACIAL_HAIR: Table = [
    ((), set(), 0.62),
    (("beardLight", "beardMedium"), {"Beard"}, 0.16),
    (("beardMajestic",), {"Beard", "Long_Beard"}, 0.09),
    (("moustacheFancy", "moustacheMagnum"), {"Mustache"}, 0.13),
]
MOUTHS: Table = [
    (("smile", "twinkle"), {"Smiling"}, 0.40),
    (("screamOpen",), {"Mouth_Wide_Open"}, 0.14),
    (("tongue",), {"Tongue_Out"}, 0.14),
    (("grimace",), set(), 0.10),
    (("serious", "sad"), set(), 0.22),
]
EYES: Table = [
    (("default", "side"), set(), 0.54),
    (("closed", "happy"), {"Eyes_Closed"}, 0.16),
    (("surprised",), {"Wide_Eyes"}, 0.18),
    (("hearts",), {"Heart_Eyes"}, 0.12),
]
EYEBROWS: Table = [
    (("default", "defaultNatural", "raisedExcited"), set(), 0.72),
    (("angry", "angryNatural"), {"Angry_Eyebrows"}, 0.28),
]
CLOTHES: Table = [
    (("shirtCrewNeck", "shirtVNeck"), set(), 0.36),
    (("blazerAndShirt",), {"Wearing_Blazer"}, 0.18),
    (("hoodie",), {"Wearing_Hoodie"}, 0.16),
    (("overall",), {"Wearing_Overalls"}, 0.14),
    (("graphicShirt",), {"Printed_Shirt"}, 0.16),
]
_TABLES: tuple[Table, ...] = (
    HAIR_COLORS, SKIN_COLORS, CLOTHES_COLORS, TOPS, ACCESSORIES, FACIAL_HAIR, MOUTHS, EYES,
    EYEBROWS, CLOTHES,
)  # fmt: skip
ATTRIBUTES = tuple(sorted(set().union(*(row[1] for table in _TABLES for row in table))))

# The attributes that are easily visible at 64 x 64 pixels.
VISIBLE_ATTRIBUTES = (
    "Afro", "Bald", "Beard", "Black_Clothes", "Black_Hair", "Blond_Hair", "Blue_Clothes",
    "Brown_Hair", "Dark_Skin", "Eyeglasses", "Long_Hair", "Pale_Skin", "Red_Clothes", "Red_Hair",
    "Sunglasses", "Wearing_Blazer", "Wearing_Hat", "Wearing_Headscarf",
)  # fmt: skip

# Style: variation of the image without a label.
HAT_COLORS = ("#25557c", "#929598", "#a7ffc4", "#ff5c5c", "#ffafb9", "#ffffb1")
BACKGROUNDS = ("#d5e4f2", "#e2dced", "#dcebd8", "#f2e6d5", "#e6e6e6", "#d3ecec")
GRAPHICS = ("bat", "bear", "cumbia", "resist", "skull")
