"""A folder of images with a CSV of their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ccvae_pyro.data.cache import load_images
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import partition_splits, random_splits, stratified_splits
from ccvae_pyro.data.tables.label_table import LabelTable, find_partition, read_table
from ccvae_pyro.data.tables.label_types import read_label
from ccvae_pyro.labels import Label, index_of


def load_image_csv(
    root: Path | str,
    labels: Path | str,
    *,
    size: int = 64,
    label_types: Mapping[str, str | Label] | None = None,
    channels: int | None = None,
    resize: str = "squash",
    white: float | None = None,
    partition: Path | str | None = None,
    stratify: str | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    cache: Path | str | None = None,
) -> LabeledImages:
    """Images of any sizes with labels from a CSV, decoded once and cached.

    The CSV has a header. Its first column holds the names of files in ``root``. Each other column
    is a label, and an empty cell is a missing label. The type of each label is guessed from its
    values; :func:`~ccvae_pyro.data.describe` shows the result.

    :param root: the folder of the images.
    :param labels: the CSV.
    :param size: the height and width to resize to.
    :param label_types: types of labels by name, where they should not be guessed: ``"binary"``,
        ``"categorical"`` or ``"continuous"``, or a label with its classes.
    :param channels: 1 for grey, 3 for color; by default grey if all files are.
    :param resize: ``"squash"``, ``"crop"`` or ``"pad"``: see
        :class:`~ccvae_pyro.data.Preprocessing`.
    :param white: the value of white in files of more than 8 bits, by default found from them.
    :param partition: a column of the CSV, or a file that lists images, which says whether an image
        is for training, validation or testing: 0, 1, 2 or train, valid, test. By default the split
        is random.
    :param stratify: the label whose classes a random split divides in the same proportions.
    :param seed: of the random split.
    :param skip_unreadable: leave out images that are missing or unreadable, and print how many.
    :param cache: the folder of the decoded images, by default ``root/ccvae_cache``, or in the
        cache folder of the user if ``root`` cannot be written.
    :raises FileNotFoundError: if the folder, the CSV, the partition or an image does not exist.
    :raises ValueError: if a table or an image is invalid; names the line or the file.
    """
    root, table = Path(root), read_table(Path(labels))
    if not root.is_dir():
        raise FileNotFoundError(f"the folder of images, {root}, does not exist")
    if partition is not None and stratify is not None:
        raise ValueError(
            f"stratify={stratify!r} has no effect on a given partition, {partition!r}: use one"
        )
    split_names, partition_column = (
        (None, None) if partition is None else find_partition(table, partition)
    )
    found_types, values = _read_labels(table, partition_column, label_types or {})
    classes = None if stratify is None else values[:, _find_stratum(stratify, found_types)]
    if not skip_unreadable:
        _check_files(root, table)
    images, is_readable, preprocessing = load_images(
        root,
        [root / file for file in table.files],
        Preprocessing(size, channels, resize, white=white),
        skip_unreadable=skip_unreadable,
        cache=cache,
    )
    rows = np.flatnonzero(is_readable)
    if split_names is not None:
        splits = partition_splits(rows, split_names)
    elif classes is not None:
        splits = stratified_splits(rows, classes[rows], seed)
    else:
        splits = random_splits(rows, seed)
    return LabeledImages(images, values, found_types, splits, preprocessing)


def _read_labels(
    table: LabelTable, partition_column: str | None, label_types: Mapping[str, str | Label]
) -> tuple[tuple[Label, ...], np.ndarray]:
    """The labels and their values, from all columns but that of the partition."""
    names = [name for name in table.names if name != partition_column]
    if not names:
        raise ValueError(f"{table.path} has no label beside the partition, {partition_column!r}")
    given = {
        names[index_of(name, names, f"label of {table.path}")]: label_type
        for name, label_type in label_types.items()
    }
    if (table.cells[names] == "").all(axis=None):
        raise ValueError(
            f"{table.path} labels none of its {len(table.files)} images: every cell is empty"
        )
    read = [read_label(table, name, given.get(name)) for name in names]
    return tuple(label for label, _ in read), np.stack([values for _, values in read], axis=1)


def _find_stratum(stratify: str, label_types: Sequence[Label]) -> int:
    """The column of the label by which a split is stratified."""
    column = index_of(stratify, [label.name for label in label_types])
    if not label_types[column].classes:
        raise ValueError(
            f"a split is stratified by a label with classes, but {stratify!r} is continuous"
        )
    return column


def _check_files(root: Path, table: LabelTable) -> None:
    """Raises an error if an image is missing, before any is decoded."""
    missing = [row for row, file in enumerate(table.files) if not (root / file).is_file()]
    if missing:
        line, file = table.cells.index[missing[0]], table.files[missing[0]]
        others = f", nor are {len(missing) - 1} more of its {len(table.files)} files"
        raise FileNotFoundError(
            f"{table.path}, line {line}: {file} is not in {root}{others * (len(missing) > 1)}"
        )
