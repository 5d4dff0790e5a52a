"""Hugging Face data sets of images and labels."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ccvae_pyro.data.cache import (
    CachedImages,
    decode_into,
    describe_images,
    digest,
    find_cache_folder,
    find_outdated,
    read_images,
    resolve,
    say,
    try_decode,
    user_cache_folder,
)
from ccvae_pyro.data.datasets._hugging_face_set import HuggingFaceSet, open_set, reading
from ccvae_pyro.data.decoding import inspect_image, without_warnings
from ccvae_pyro.data.files import open_regular
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import complete_splits
from ccvae_pyro.data.tables._cells import Dialect, shown
from ccvae_pyro.data.tables.label_table import LabelTable
from ccvae_pyro.data.tables.label_types import read_label
from ccvae_pyro.labels import Categorical, Label, Ordinal, index_of
from ccvae_pyro.labels.values import TRUTH_OF_WORD

VERSION = 1  # part of the cache's name: increase it if images are decoded in another way
NUM_INSPECTED = 1000  # images that tell whether a set is grey, and what white is in it
MAX_NAMES = 1000  # in a column of lists: each name is a label
BATCH_SIZE = 1000  # rows whose labels are read together


def from_hugging_face(
    dataset: Any,
    image: str | None = None,
    labels: Sequence[str] | None = None,
    *,
    size: int = 64,
    channels: int | None = None,
    resize: str = "squash",
    crop: int | None = None,
    white: float | None = None,
    label_types: Mapping[str, str | Label] | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    cache: Path | str | None = None,
) -> LabeledImages:
    """Images and labels of a Hugging Face data set, decoded once and cached.

    The type of a column says what labels it has:

    - Booleans are a binary label.
    - A ``ClassLabel`` is a categorical label, in which -1 is missing; or a binary one, if its
      classes are no and yes, or false and true.
    - Lists of names, such as ``["Smiling", "Bangs"]``, are a binary label for each name.
    - Numbers and texts are of the type that :func:`~ccvae_pyro.data.load_image_csv` finds.

    None, NaN and an empty text are missing labels. A set that is given by its name is streamed:
    of its images only the decoded pixels are kept. Decoding that was interrupted goes on.

    Splits keep their rows. If there are no images for validation or for testing, a twelfth of the
    training images is taken at random.

    :param dataset: a ``datasets.Dataset`` or ``datasets.DatasetDict``; or the name of a set on the
        Hub, a parquet file, or a folder: one that ``save_to_disk`` wrote, or of parquet files or
        images. Text may start with ``hf:``.
    :param image: the column of the images. By default there must be one only.
    :param labels: the columns that are labels, in this order. By default these are the booleans,
        classes and lists of names, or, if there are none, all numbers and texts.
    :param size: the height and width to resize to.
    :param channels: 1 for grey, 3 for color; by default grey if the first thousand images are.
    :param resize: ``"squash"``, ``"crop"`` or ``"pad"``: see
        :class:`~ccvae_pyro.data.Preprocessing`.
    :param crop: the side of a square to cut from the center first; by default none is.
    :param white: the value of white in images of more than 8 bits, by default found from the first
        thousand.
    :param label_types: types of labels by name, as in :func:`~ccvae_pyro.data.load_image_csv`.
    :param seed: of the images that are taken for validation and testing.
    :param skip_unreadable: leave out images that cannot be read, and print how many.
    :param cache: the folder of the decoded images. By default it is ``ccvae_cache`` in the folder
        of the set, or, if there is none or it cannot be written, the cache folder of the user.
    :raises ModuleNotFoundError: if the extra ``huggingface`` is not installed.
    :raises FileNotFoundError: if there is no such file or set.
    :raises ConnectionError: if the Hub cannot be reached.
    :raises ValueError: if there is no such column, a label or an image is invalid, or the set
        cannot be read; names the set, and the row if it is of one.
    """
    source = open_set(dataset)
    image = _find_image(source, image)
    names = _find_labels(source, image, labels)
    cells, num_rows = _read_cells(source, names)
    rows = _Rows(source, image, num_rows)
    found_types, values = _read_labels(source, rows.names, names, cells, label_types or {})
    preprocessing = Preprocessing(size, channels, resize, crop, white)
    images = _load_images(rows, preprocessing, skip_unreadable=skip_unreadable, cache=cache)
    return LabeledImages(
        images.images,
        values,
        found_types,
        complete_splits(_find_rows(num_rows, images.is_readable), seed),
        images.preprocessing,
        files=tuple(rows.names),
    )


@dataclass(frozen=True)
class _Packed:
    """An image in a row of a data set: its bytes, or a dictionary of its bytes and its path."""

    where: str
    cell: Any

    def __str__(self) -> str:
        return self.where

    def open(self) -> BinaryIO:
        """Opens it for reading."""
        cell = self.cell if isinstance(self.cell, dict) else {"bytes": self.cell}
        if cell.get("bytes") is not None:
            return io.BytesIO(cell["bytes"])
        path = cell.get("path")
        if path is None:
            raise ValueError("the cell is empty")
        if "://" not in path:
            return open_regular(Path(path))
        import fsspec

        with fsspec.open(path, "rb") as file:
            return io.BytesIO(file.read())


class _Rows:
    """The images of a data set: the rows of its splits, one split after the other."""

    def __init__(self, source: HuggingFaceSet, image: str, num_rows: Mapping[str, int]) -> None:
        self.source, self.image, self.num_rows = source, image, num_rows
        self.names = [
            f"{source.splits[split]}/{row}"
            for split, count in num_rows.items()
            for row in range(count)
        ]

    def read(self, rows: np.ndarray) -> Iterator[_Packed | Exception]:
        """The images of some rows, in ascending order; ends with an error if there is one."""
        start, splits = 0, self.source.splits
        try:
            with reading(self.source.name):
                parts = self.source.read([self.image])
                for split, count in self.num_rows.items():
                    here = rows[(rows >= start) & (rows < start + count)]
                    if len(here):
                        cells = _cells_of(parts[splits[split]], self.image, here - start)
                        for row, cell in zip(here.tolist(), cells, strict=True):
                            yield _Packed(f"{self.source.name}, row {self.names[row]}", cell)
                    start += count
        except Exception as error:
            # As another type than that of an image which cannot be read, and may be skipped.
            yield OSError(str(error))


def _cells_of(part: Any, image: str, rows: np.ndarray) -> Iterator[Any]:
    """The cells of a column in some rows of a split."""
    import datasets

    if isinstance(part.features[image], datasets.Image):
        part = part.cast_column(image, datasets.Image(decode=False))
    first, last = int(rows[0]), int(rows[-1])
    if isinstance(part, datasets.Dataset):
        is_range = last - first + 1 == len(rows)
        part = part.select(range(first, last + 1) if is_range else rows)
        yield from (row[image] for row in part)
        return
    wanted = set(rows.tolist())
    for number, row in enumerate(part.skip(first), start=first):
        if number in wanted:
            yield row[image]
        if number == last:
            return


def _load_images(
    rows: _Rows,
    preprocessing: Preprocessing,
    *,
    skip_unreadable: bool,
    cache: Path | str | None,
) -> CachedImages:
    """The images from their cache, decoded into it first where that is needed."""
    source = rows.source
    settings = [VERSION, source.identity, rows.image, asdict(preprocessing), skip_unreadable]
    name = f"images-{preprocessing.size}px-{digest(repr(settings).encode())}"
    folder = _cache_folder(source, f"{name}-*.npy", cache)
    path = folder / f"{name}-{digest(source.fingerprint.encode())}.npy"
    num_images = len(rows.names)
    found = read_images(path, preprocessing, num_images)
    if found is None:
        with without_warnings():
            first = _first(rows)
            resolved = resolve(preprocessing, first)
            is_guessed = preprocessing.channels is None and resolved.channels == 1
            decode_into(
                path,
                rows.read,
                partial(_decode, preprocessing=resolved, must_be_grey=is_guessed),
                num_images,
                resolved,
                num_required=0 if skip_unreadable else num_images,
            )
        for file in find_outdated(folder, name, path):
            with suppress(OSError):
                file.unlink()
        found = read_images(path, preprocessing, num_images)
    if found is None:
        raise OSError(f"the cache {path} was damaged as soon as it was written")
    describe_images(found, preprocessing, rows.names)
    return found


def _cache_folder(source: HuggingFaceSet, pattern: str, cache: Path | str | None) -> Path:
    if source.root is not None:
        return find_cache_folder(source.root, pattern, cache)
    base = user_cache_folder() if cache is None else Path(cache)
    return base / f"hugging_face-{digest(source.identity.encode())}"


def _first(rows: _Rows) -> list[_Packed]:
    """The first images, by which a set is inspected."""
    first = []
    for item in rows.read(np.arange(min(NUM_INSPECTED, len(rows.names)))):
        if isinstance(item, Exception):
            raise item
        first.append(item)
    return first


def _decode(
    item: _Packed | Exception, preprocessing: Preprocessing, must_be_grey: bool
) -> np.ndarray | Exception:
    if isinstance(item, Exception):
        return item
    if must_be_grey and not inspect_image(item).is_grey:
        return OSError(f"{item} is in color, but the images before are grey: say channels=3")
    return try_decode(item, preprocessing)


def _find_rows(num_rows: Mapping[str, int], is_readable: np.ndarray) -> dict[str, np.ndarray]:
    """The readable rows of each split."""
    ends = np.cumsum([*num_rows.values()])
    parts = np.split(np.arange(len(is_readable)), ends[:-1])
    return {split: part[is_readable[part]] for split, part in zip(num_rows, parts, strict=True)}


def _find_image(source: HuggingFaceSet, image: str | None) -> str:
    """The column of the images."""
    import datasets

    columns = [*source.features]
    typed = [name for name in columns if isinstance(source.features[name], datasets.Image)]
    found = typed or [name for name in columns if _has_bytes(source.features[name])]
    if image is not None:
        image = columns[index_of(image, columns, f"column of {source.name}")]
        if not (image in typed or _has_bytes(source.features[image])):
            raise ValueError(
                f"{source.name}: wanted a column of images, got {shown(image)}, which is "
                f"{shown(str(source.features[image]))}"
            )
        return image
    if len(found) != 1:
        what = (
            f"several columns of images, {', '.join(found)}: choose one"
            if found
            else (f"no column of images, only {shown(', '.join(columns), 200)}")
        )
        raise ValueError(f"{source.name} has {what}")
    return found[0]


def _has_bytes(feature: Any) -> bool:
    """Whether a column holds the bytes of files, although its type does not say of images."""
    if isinstance(feature, dict):
        return {*feature} == {"bytes", "path"}
    return getattr(feature, "dtype", None) in ("binary", "large_binary")


def _find_labels(source: HuggingFaceSet, image: str, labels: Sequence[str] | None) -> list[str]:
    """The columns that are labels."""
    kinds = {name: _kind(feature) for name, feature in source.features.items()}
    if labels is None:
        names = [name for name, kind in kinds.items() if kind in ("bool", "classes", "names")]
        names = names or [name for name, kind in kinds.items() if kind == "values"]
        if not names:
            raise ValueError(
                f"{source.name} has no label: wanted booleans, classes, lists of names, numbers "
                f"or texts besides {shown(image)}"
            )
        others = [name for name in kinds if name not in (*names, image)]
        if others:
            say(f"{source.name}: not taken for labels: {shown(', '.join(others), 200)}")
        return names
    if isinstance(labels, str):  # whose characters would be taken for names
        raise ValueError(f"labels must be a list of columns, got {labels!r}")
    columns = [*kinds]
    names = [columns[index_of(name, columns, f"column of {source.name}")] for name in labels]
    if not names or len({*names}) < len(names):
        got = ", ".join(names) or "none"
        raise ValueError(f"wanted different columns for labels, at least one, got {got}")
    for name in names:
        if name == image or kinds[name] is None:
            raise ValueError(
                f"{source.name}: {shown(name)} cannot be a label: it is "
                f"{shown(str(source.features[name]))}"
            )
    return names


def _kind(feature: Any) -> str | None:
    """What a column is as a label: a bool, classes, names, or values of some type."""
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        return "classes"
    if isinstance(feature, datasets.Value):
        if feature.dtype == "bool":
            return "bool"
        is_value = feature.dtype.startswith(("int", "uint", "float")) or _is_text(feature)
        return "values" if is_value else None
    inner = getattr(feature, "feature", None)
    is_name = isinstance(inner, datasets.ClassLabel) or _is_text(inner)
    return "names" if is_name else None


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string", "string_view")


def _read_cells(
    source: HuggingFaceSet, names: Sequence[str]
) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """The cells of some columns, and the number of rows of each split."""
    cells: dict[str, list[Any]] = {name: [] for name in names}
    num_rows = {}
    with reading(source.name):
        parts = source.read(names)
        for split, own_name in source.splits.items():
            before = len(cells[names[0]])
            for batch in parts[own_name].iter(BATCH_SIZE):
                for name in names:
                    cells[name] += batch[name]
            num_rows[split] = len(cells[names[0]]) - before
    if not num_rows["train"]:
        raise ValueError(f"{source.name} has no training images")
    return cells, num_rows


def _read_labels(
    source: HuggingFaceSet,
    rows: Sequence[str],
    names: Sequence[str],
    cells: Mapping[str, list[Any]],
    label_types: Mapping[str, str | Label],
) -> tuple[tuple[Label, ...], np.ndarray]:
    """The labels and their values."""
    import pandas as pd

    texts: dict[str, list[str]] = {}
    types: dict[str, str | Label] = {}
    for name in names:
        found, label_type = _to_texts(source, name, cells[name])
        for label in found:
            if label in texts:
                raise ValueError(f"{source.name}: two labels are called {shown(label)!r}")
        texts |= found
        types |= {} if label_type is None else dict.fromkeys(found, label_type)
    for name, given in label_types.items():
        label = [*texts][index_of(name, [*texts], f"label of {source.name}")]
        ordered = types.get(label)
        is_plain = given == "ordinal" and isinstance(ordered, Categorical)
        if isinstance(ordered, Categorical) and given in ("ordinal", "categorical"):
            given = Ordinal(label, ordered.classes) if is_plain else ordered
        types[label] = given
    table = pd.DataFrame({"row": rows, **texts}, index=pd.Index(rows), dtype=object)
    labels = LabelTable(Path(source.name), table, table, Dialect(), ".", unit="row")
    read = [read_label(labels, label, types.get(label)) for label in texts]
    return tuple(label for label, _ in read), np.stack([values for _, values in read], axis=1)


def _to_texts(
    source: HuggingFaceSet, name: str, cells: list[Any]
) -> tuple[dict[str, list[str]], str | Label | None]:
    """The labels of a column as cells of text, empty where missing, and their type if known."""
    feature = source.features[name]
    kind = _kind(feature)
    if kind == "bool":
        return {name: ["" if cell is None else str(int(cell)) for cell in cells]}, "binary"
    if kind == "classes":
        classes = tuple(feature.names)
        texts = ["" if cell in (None, -1) else classes[cell] for cell in cells]
        is_binary = sorted(map(TRUTH_OF_WORD.get, map(str.lower, classes)), key=str) == [0.0, 1.0]
        return {name: texts}, "binary" if is_binary else Categorical(name, classes)
    if kind == "names":
        return _split_names(source, name, cells), "binary"
    if _is_text(feature):
        return {name: ["" if cell is None else cell.strip() for cell in cells]}, None
    # In the precision that the column has: 0.1 rather than 0.10000000149.
    number = np.dtype(feature.dtype).type
    missing = (cell is None or cell != cell for cell in cells)
    return {
        name: ["" if no else str(number(cell)) for no, cell in zip(missing, cells, strict=True)]
    }, None


def _split_names(source: HuggingFaceSet, name: str, cells: list[Any]) -> dict[str, list[str]]:
    """A column of texts, 1 or 0, for each name in a column of lists."""
    classes = getattr(source.features[name].feature, "names", None)
    lists = [
        None if cell is None else {each if classes is None else classes[each] for each in cell}
        for cell in cells
    ]
    known = [each for each in lists if each is not None]
    found = classes or sorted(set().union(*known) - {None, ""})
    if not 1 <= len(found) <= MAX_NAMES:
        raise ValueError(
            f"{source.name}: the lists of {shown(name)} have {len(found)} names: wanted 1 to "
            f"{MAX_NAMES}, each of which is a label"
        )
    return {
        each: ["" if names is None else str(int(each in names)) for names in lists]
        for each in found
    }
