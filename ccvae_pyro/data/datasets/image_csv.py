"""A folder of images with a CSV of their labels."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ccvae_pyro.data.cache import load_images, say
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import partition_splits, random_splits, stratified_splits
from ccvae_pyro.data.tables._cells import shown
from ccvae_pyro.data.tables._file_names import file_name
from ccvae_pyro.data.tables._values import meaning
from ccvae_pyro.data.tables.celeba_lists import read_splits
from ccvae_pyro.data.tables.label_table import LabelTable, find_partition, read_table
from ccvae_pyro.data.tables.label_types import read_label
from ccvae_pyro.labels import Categorical, Label, index_of


def load_image_csv(
    root: Path | str,
    labels: Path | str,
    *,
    size: int = 64,
    label_types: Mapping[str, str | Label] | None = None,
    columns: Sequence[str] | None = None,
    file_column: str | None = None,
    unlisted: str = "use",
    channels: int | None = None,
    resize: str = "squash",
    white: float | None = None,
    partition: Path | str | None = None,
    stratify: str | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    cache: Path | str | None = None,
    missing_values: Iterable[str] = (),
    keep_values: Iterable[str] = (),
) -> LabeledImages:
    """Images of any sizes with labels from a CSV, decoded once and cached.

    The CSV has a header, and commas, semicolons or tabs between its cells. One column holds the
    names of files in ``root``: the first, or if none of its cells is a file, the one with the most
    that are. Each other column is a label, and a cell that is empty, ``NA`` or the like is a
    missing label; what was taken for missing is printed, unless it was empty. The type of each
    label is guessed from its values; :func:`~ccvae_pyro.data.describe` shows the result.

    Images that the CSV does not list are training images without labels: those in the folders of
    the listed ones, with the same suffixes. Their rows follow those of the CSV, in alphabetical
    order. One that cannot be read is left out, and so is one that a ``partition`` file has for
    validation or testing.

    :param root: the folder of the images.
    :param labels: the CSV.
    :param size: the height and width to resize to.
    :param label_types: types of labels by name, where they should not be guessed: ``"binary"``,
        ``"categorical"``, ``"ordinal"`` or ``"continuous"``, or a label with its classes or
        bounds.
    :param columns: the columns that are labels, in this order; by default all.
    :param file_column: the column that holds the names of the files, where it is not found.
    :param unlisted: ``"use"`` images that the CSV does not list, or ``"ignore"`` them.
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
    :param missing_values: cells that are missing labels, besides empty ones, pandas' list, ``?``
        and ``-``.
    :param keep_values: cells that are values, although they are in that list.
    :raises FileNotFoundError: if the folder, the CSV, the partition or an image does not exist.
    :raises ValueError: if a table or an image is invalid; names the line or the file.
    """
    root = Path(root)
    table = read_table(
        Path(labels),
        file_column=file_column,
        is_file=lambda name: _is_file(root / name),
        columns=columns,
        missing_values=missing_values,
        keep_values=keep_values,
    )
    if not root.is_dir():
        raise FileNotFoundError(f"the folder of images, {root}, does not exist")
    if unlisted not in ("use", "ignore"):
        raise ValueError(f"unlisted must be 'use' or 'ignore', got {unlisted!r}")
    if partition is not None and stratify is not None:
        raise ValueError(
            f"stratify={stratify!r} has no effect on a given partition, {partition!r}: use one"
        )
    split_names, partition_column = (
        (None, None) if partition is None else find_partition(table, partition)
    )
    names = _find_labels(table, columns, partition_column)
    found_types, values = _read_labels(table, names, label_types or {})
    _check_header(root, table)
    _check_distinct(root, table)
    _print_missing(table, names)
    classes = None if stratify is None else values[:, _find_stratum(stratify, found_types)]
    if not skip_unreadable:
        _check_files(root, table)
    others = _find_unlisted(root, table) if unlisted == "use" else []
    if partition is not None and partition_column is None:
        split_of_file = read_splits(Path(partition), table.files)
        others = [file for file in others if split_of_file.get(file, "train") == "train"]
    files = [*table.files, *others]
    num_listed = len(table.files)
    images, is_readable, preprocessing = load_images(
        root,
        [root / file for file in files],
        Preprocessing(size, channels, resize, white=white),
        skip_unreadable=skip_unreadable,
        num_required=num_listed if others else None,
        cache=cache,
    )
    rows = np.flatnonzero(is_readable[:num_listed])
    if split_names is not None:
        splits = partition_splits(rows, split_names)
    elif classes is not None:
        splits = stratified_splits(rows, classes[rows], seed)
    else:
        splits = random_splits(rows, seed)
    if others:
        added = num_listed + np.flatnonzero(is_readable[num_listed:])
        splits["train"] = np.concatenate([splits["train"], added])
        values = np.pad(values, ((0, len(others)), (0, 0)), constant_values=np.nan)
        say(
            f"{table.path} does not list {len(added)} images of {root}, such as "
            f"{shown(others[0])}: they are used for training, without labels (unlisted ignore "
            "leaves them out)"
        )
    return LabeledImages(images, values, found_types, splits, preprocessing, files=tuple(files))


def _find_labels(
    table: LabelTable, columns: Sequence[str] | None, partition_column: str | None
) -> list[str]:
    """The names of the columns that are labels."""
    if columns is None:
        columns = [name for name in table.names if name != partition_column]
    elif isinstance(columns, str):  # whose characters would be taken for names
        raise ValueError(f"columns must be a list of names, got {columns!r}")
    names = [
        table.names[index_of(name, table.names, f"column of {table.path}")] for name in columns
    ]
    if len(set(names)) < len(names):
        raise ValueError(f"each column can be given once, got {', '.join(map(shown, names))}")
    if partition_column in names:
        raise ValueError(f"{shown(str(partition_column))} is the partition, and no label")
    if not names:
        raise ValueError(f"{table.path} has no label beside the partition, {partition_column!r}")
    return names


def _find_unlisted(root: Path, table: LabelTable) -> list[str]:
    """The images in the folders of the listed ones, of the same formats, in alphabetical order."""
    listed = {_key(root, file) for file in table.files}
    folders = {posixpath.dirname(file) for file in table.files}
    suffixes = {posixpath.splitext(file)[1].lower() for file in table.files} - {""}
    found = []
    for folder in folders:
        if folder.startswith(("/", "..")) or not os.path.isdir(root / folder):  # noqa: PTH112
            continue
        with os.scandir(root / folder) as entries:
            names = [each.name for each in entries if each.is_file()]
        candidates = (posixpath.join(folder, name) for name in names if name[0] != ".")
        found += [
            file
            for file in candidates
            if posixpath.splitext(file)[1].lower() in suffixes and _key(root, file) not in listed
        ]
    return sorted(found)


def _key(root: Path, file: str) -> str:
    """What the names of one file have in common, absolute or not, whatever their case."""
    return os.path.abspath(root / file).casefold()  # noqa: PTH100, as it follows no links


def _read_labels(
    table: LabelTable, names: Sequence[str], label_types: Mapping[str, str | Label]
) -> tuple[tuple[Label, ...], np.ndarray]:
    """The labels and their values."""
    given = {
        names[index_of(name, names, f"label of {table.path}")]: label_type
        for name, label_type in label_types.items()
    }
    if (table.cells[[*names]] == "").all(axis=None):
        raise ValueError(
            f"{table.path} labels none of its {len(table.files)} images: every cell is empty"
        )
    read = [read_label(table, name, given.get(name)) for name in names]
    _print_unordered([label for label, _ in read if label.name not in given])
    return tuple(label for label, _ in read), np.stack([values for _, values in read], axis=1)


def _print_unordered(guessed: Sequence[Label]) -> None:
    """Prints which whole numbers were taken for classes, which have no order."""
    names = [
        shown(label.name)
        for label in guessed
        if isinstance(label, Categorical)
        and len(label.classes) > 2
        and _are_counted(label.classes)
    ]
    if names:
        say(
            f"the whole numbers of {', '.join(names[:5])} are taken for classes without an order: "
            f"label_types={{{names[0]!r}: 'ordinal'}}, or --kinds {names[0]}=ordinal, gives one"
        )


def _are_counted(classes: Sequence[str]) -> bool:
    """Whether classes are whole numbers without a gap."""
    if not all(name.isascii() and name.isdecimal() and len(name) < 9 for name in classes):
        return False
    first = int(classes[0])
    return list(classes) == [str(number) for number in range(first, first + len(classes))]


def _find_stratum(stratify: str, label_types: Sequence[Label]) -> int:
    """The column of the label by which a split is stratified."""
    column = index_of(stratify, [label.name for label in label_types])
    if not label_types[column].classes:
        raise ValueError(
            f"a split is stratified by a label with classes, but {stratify!r} is continuous"
        )
    return column


def _print_missing(table: LabelTable, names: Sequence[str]) -> None:
    """Prints what is taken for missing."""
    if missing := table.missing(names):
        counts = ", ".join(f"{cell} ({count})" for cell, count in missing.most_common())
        say(f"{table.path}: taken for missing: {shown(counts, 400)}; keep-values makes it a value")


def _check_header(root: Path, table: LabelTable) -> None:
    """Raises an error if the first line of the CSV is an image and no header."""
    if (name := table.file_column) and _is_file(root / file_name(name)):
        raise ValueError(
            f"{table.path} has no header: wanted names of columns in its first line, "
            f"got the file '{shown(name)}'"
        )


def _check_distinct(root: Path, table: LabelTable) -> None:
    """Raises an error if two rows have one file: in two splits it would be learned and tested.

    Names may differ where one is absolute, or where the file system ignores case.
    """
    line_of_path: dict[str, int] = {}
    for line, file in zip(table.cells.index.tolist(), table.files, strict=True):
        first = line_of_path.setdefault(_key(root, file), line)
        if first < line and _is_same(root / str(table.cells.iloc[:, 0].at[first]), root / file):
            raise ValueError(
                f"{table.path}: lines {first} and {line} are one file, {shown(str(root / file))}"
            )


def _is_same(first: Path, second: Path) -> bool:
    return _is_file(first) and _is_file(second) and first.samefile(second)


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113, as Path.is_file raises if a name is too long


def _check_files(root: Path, table: LabelTable) -> None:
    """Raises an error if an image is missing, before any is decoded."""
    missing = [row for row, file in enumerate(table.files) if not _is_file(root / file)]
    if missing:
        line, file = table.cells.index[missing[0]], table.files[missing[0]]
        others = f", nor are {len(missing) - 1} more of its {len(table.files)} files"
        raise FileNotFoundError(
            f"{table.path}, line {line}: {shown(file)} is not in {root}"
            f"{others * (len(missing) > 1)}{_similar_name(root / file)}"
        )


def _similar_name(path: Path) -> str:
    """Proposes a file whose name differs in case, or in how its accents are encoded."""
    is_folder = os.path.isdir(path.parent)  # noqa: PTH112, as above
    files = sorted(path.parent.iterdir()) if is_folder else ()
    similar = (file.name for file in files if meaning(file.name) == meaning(path.name))
    return next((f": did you mean {shown(name)}?" for name in similar), "")
