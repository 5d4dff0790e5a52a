"""Your own images: a folder of them, and a CSV of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ccvae_pyro.data.decoding import cache_path, load_images
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.splits import partition_splits, random_splits, stratified_splits
from ccvae_pyro.data.tables.label_columns import read_column
from ccvae_pyro.data.tables.label_table import LabelTable, find_parts, read_table
from ccvae_pyro.labels import Label, index_of


def load_folder(
    root: Path | str,
    labels: Path | str,
    *,
    size: int = 64,
    kinds: Mapping[str, str | Label] | None = None,
    channels: int | None = None,
    partition: Path | str | None = None,
    stratify: str | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
) -> LabeledImages:
    """Images of any sizes with the labels of a CSV, decoded once into ``root/ccvae_cache``.

    The CSV has a header. Its first column is the name of a file in ``root``, each other column is
    a label, and an empty cell a label that is missing. What kind each label is of is guessed from
    its values; :func:`~ccvae_pyro.data.describe` says how they were understood.

    :param labels: the CSV.
    :param size: the height and width to resize to.
    :param kinds: for labels by name, ``"binary"``, ``"categorical"`` or ``"continuous"`` in place
        of the guess, or a label with its classes.
    :param channels: 1 for grey, 3 for color; by default grey if all files are.
    :param partition: a column of the CSV, or a list of files, that says which image is for
        training, validation and test: 0, 1, 2 or train, valid, test. By default it is random.
    :param stratify: the label whose classes a random split parts alike.
    :param seed: for the random split.
    :param skip_unreadable: leave out images that are missing or unreadable, and say how many.
    :raises FileNotFoundError: if the folder, a list or an image is not there.
    :raises ValueError: if a list or an image is not as it should be; says which line or file.
    """
    root, table = Path(root), read_table(Path(labels))
    if not root.is_dir():
        raise FileNotFoundError(f"the folder of images, {root}, is not there")
    if partition is not None and stratify is not None:
        raise ValueError(f"stratify={stratify!r} has no say where partition={partition!r} has")
    parts, used = (None, None) if partition is None else find_parts(table, partition)
    found, values = _read_labels(table, used, kinds or {})
    classes = None if stratify is None else values[:, _find_classes(stratify, found)]
    path = cache_path(root, table.files, size, channels, skip_unreadable)
    if not (skip_unreadable or path.exists()):
        _check_files(root, table)
    paths = [root / file for file in table.files]
    images, is_readable = load_images(path, paths, size, channels, skip_unreadable)
    rows = np.flatnonzero(is_readable)
    if parts is not None:
        splits = partition_splits(rows, parts)
    elif classes is not None:
        splits = stratified_splits(rows, classes[rows], seed)
    else:
        splits = random_splits(rows, seed)
    return LabeledImages(images, values, found, splits)


def _read_labels(
    table: LabelTable, used: str | None, kinds: Mapping[str, str | Label]
) -> tuple[tuple[Label, ...], np.ndarray]:
    """The labels and their values, of all columns but the one that is used otherwise."""
    columns = [column for column in table.columns if column.name != used]
    if not columns:
        raise ValueError(f"{table.path} has no label beside the partition, {used!r}")
    names = [column.name for column in columns]
    asked = {
        names[index_of(name, names, f"label of {table.path}")]: k for name, k in kinds.items()
    }
    if not any(cell for column in columns for cell in column.cells):
        raise ValueError(
            f"{table.path} labels none of its {len(table.files)} images: every cell is empty"
        )
    read = [read_column(column, asked.get(column.name)) for column in columns]
    return tuple(kind for kind, _ in read), np.stack([values for _, values in read], axis=1)


def _find_classes(stratify: str, kinds: Sequence[Label]) -> int:
    place = index_of(stratify, [kind.name for kind in kinds])
    if not kinds[place].classes:
        raise ValueError(
            f"a split is stratified by a label with classes, {stratify!r} is a number"
        )
    return place


def _check_files(root: Path, table: LabelTable) -> None:
    missing = [row for row, file in enumerate(table.files) if not (root / file).is_file()]
    if missing:
        first, more = missing[0], len(missing) - 1
        raise FileNotFoundError(
            f"{table.path}, line {table.lines[first]}: {table.files[first]} is not in {root}"
            + (f", nor are {more} more of its {len(table.files)} files" if more else "")
        )
