"""Images in rows and columns, as one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

GAP = 3  # pixels between images
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # a color-blind safe palette


def draw_grid(
    rows: Sequence[Tensor] | Tensor,
    row_names: Sequence[str],
    titles: Sequence[str] = (),
    signs: Tensor | None = None,
) -> Figure:
    """Rows of images, with the name of each row on the left and a title above each column.

    :param rows: images of one shape, uint8 or in [0, 1]; all rows have the same length.
    :param signs: shape ``(num_rows, num_columns)``: an image is marked by a plus where it is
        positive, and by a minus where it is negative.
    """
    tiles = [[_to_array(image) for image in row] for row in rows]
    height, width = (size + GAP for size in tiles[0][0].shape[:2])
    num_rows, num_columns = len(tiles), len(tiles[0])
    margin = 0.4 + 0.09 * max(len(line) for name in row_names for line in name.split("\n"))
    figure = Figure(figsize=(margin + num_columns, 0.6 + num_rows), layout="compressed")
    axes = figure.subplots()
    # One array of all images: with an axes for each, matplotlib would take a minute.
    axes.imshow(np.concatenate([np.concatenate(row, axis=1) for row in map(_pad, tiles)]))
    row_centers, column_centers = (np.arange(n) + 0.5 for n in (num_rows, num_columns))
    axes.set_yticks(row_centers * height, row_names, fontsize=9)
    axes.set_xticks(column_centers * width, titles or [""] * num_columns, fontsize=9)
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    if signs is not None:
        for r, c in signs.nonzero().tolist():
            sign, color = ("+", GREEN) if signs[r, c] > 0 else ("\N{MINUS SIGN}", ORANGE)
            position = {"x": c * width + 0.04 * width, "y": r * height + 0.16 * height}
            axes.text(**position, s=sign, color=color, fontsize=12, weight="bold")
    return figure


def spaced(name: str) -> str:
    """A name with spaces in place of underscores."""
    return name.replace("_", " ")


def _to_array(image: Tensor) -> np.ndarray:
    """An image as matplotlib expects it, shape ``(height, width, 3)``."""
    image = image.float().cpu() / (255 if image.dtype == torch.uint8 else 1)
    return image.clamp(0, 1).expand(3, -1, -1).permute(1, 2, 0).numpy()


def _pad(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images with a white gap at the right and at the bottom."""
    return [np.pad(i, ((0, GAP), (0, GAP), (0, 0)), constant_values=1) for i in images]
