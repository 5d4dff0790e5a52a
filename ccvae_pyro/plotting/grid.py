"""Images in rows and columns, as one figure."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ccvae_pyro.data.names import one_line, shortened
from ccvae_pyro.plotting.text import drawable, text_properties

GAP = 3  # pixels between images
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # a color-blind safe palette
MAX_SHOWN = 40  # rows and columns of a figure: CelebA has 40 attributes
PIXELS_PER_INCH = 80  # of large images
MAX_INCHES = 48  # of a figure, if its images can be as small
MAX_LINES = 6  # in the name of a row, which is as high as its images
LINE_LENGTH, TITLE_LENGTH = 40, 11  # characters in a line of a row's name and of a column's title


def draw_grid(
    rows: Sequence[Tensor] | Tensor,
    row_names: Sequence[str],
    titles: Sequence[str] = (),
    signs: Tensor | None = None,
    note: str = "",
) -> Figure:
    """Rows of images, with the name of each row on the left and a title above each column.

    A figure has at most 40 rows and 40 columns, and says so if there are more. Names may have
    several lines; long ones are shortened.

    :param rows: images of one shape, uint8 or in [0, 1]; all rows have the same length.
    :param signs: shape ``(num_rows, num_columns)``: an image is marked by a plus where it is
        positive, and by a minus where it is negative.
    :param note: a text below the images.
    """
    sizes = {"rows": len(rows), "columns": len(rows[0])}
    notes = [note, *(only_first(size, what) for what, size in sizes.items())]
    tiles = [[_to_array(image) for image in row[:MAX_SHOWN]] for row in rows[:MAX_SHOWN]]
    num_rows, num_columns = len(tiles), len(tiles[0])
    names = [_row_name(name) for name in row_names[:num_rows]]
    titles = [_title(title) for title in titles[:num_columns]] or [""] * num_columns
    height, width = (size + GAP for size in tiles[0][0].shape[:2])
    margin = 0.4 + 0.09 * max(len(line) for name in names for line in name.split("\n"))
    head = 0.15 * (2 + max(2, *(title.count("\n") + 1 for title in titles)))
    scale = _inches_per_pixel(height, width, num_rows, num_columns)
    size = (margin + scale * width * num_columns, head + scale * height * num_rows)
    figure = Figure(figsize=size, layout="compressed")
    axes = figure.subplots()
    # One array of all images: with an axes for each, matplotlib would take a minute.
    axes.imshow(np.concatenate([np.concatenate(row, axis=1) for row in map(_pad, tiles)]))
    row_centers, column_centers = (np.arange(n) + 0.5 for n in (num_rows, num_columns))
    axes.set_yticks(row_centers * height, names, fontsize=9, **text_properties())
    axes.set_xticks(column_centers * width, titles, fontsize=9, **text_properties())
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    write_note(figure, *notes)
    if signs is not None:
        for r, c in signs[:num_rows, :num_columns].nonzero().tolist():
            sign, color = ("+", GREEN) if signs[r, c] > 0 else ("\N{MINUS SIGN}", ORANGE)
            position = {"x": c * width + 0.04 * width, "y": r * height + 0.16 * height}
            axes.text(**position, s=sign, color=color, fontsize=12, weight="bold")
    return figure


def _inches_per_pixel(height: int, width: int, num_rows: int, num_columns: int) -> float:
    """The size at which images are shown.

    An image is at least an inch high and wide, for its row's name and its column's title. Beyond
    that its pixels are kept, unless the figure would become too large.
    """
    most = MAX_INCHES / max(num_rows * height, num_columns * width)
    return max(1 / min(height, width), min(1 / PIXELS_PER_INCH, most))


def only_first(count: int, what: str, limit: int = MAX_SHOWN) -> str:
    """The note of a figure that shows only the first of many; empty if it shows all.

    Example:

        >>> only_first(149, "classes")
        'the first 40 of 149 classes'
    """
    return f"the first {limit} of {count} {what}" if count > limit else ""


def write_note(figure: Figure, *notes: str) -> None:
    """Writes notes below a figure, in gray; none if they are empty."""
    if text := "; ".join(note for note in notes if note):
        figure.supxlabel(drawable(text), fontsize=9, color="0.4", **text_properties())


def _row_name(name: str) -> str:
    """At most six lines, each of at most forty characters."""
    lines = [drawable(shortened(one_line(line), LINE_LENGTH)) for line in name.split("\n")]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"and {len(lines) - MAX_LINES + 1} more"]
    return "\n".join(lines)


def _title(title: str) -> str:
    """At most six lines, each as wide as an image."""
    lines = [part for line in title.split("\n") for part in wrap(one_line(line), TITLE_LENGTH)]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 2], "…", lines[-1]]
    return drawable("\n".join(lines))


def _to_array(image: Tensor) -> np.ndarray:
    """An image as matplotlib expects it, shape ``(height, width, 3)``."""
    image = image.float().cpu() / (255 if image.dtype == torch.uint8 else 1)
    return image.clamp(0, 1).expand(3, -1, -1).permute(1, 2, 0).numpy()


def _pad(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images with a white gap at the right and at the bottom."""
    return [np.pad(i, ((0, GAP), (0, GAP), (0, 0)), constant_values=1) for i in images]
