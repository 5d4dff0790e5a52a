"""Opening a Hugging Face data set: its columns, its splits, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccvae_pyro.data.cache import say
from ccvae_pyro.data.splits import SPLIT_NAMES

# What a split may be called.
_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class HuggingFaceSet:
    """A data set of the package ``datasets``.

    :param name: what errors call it.
    :param features: the type of each column.
    :param splits: the name of each split in the set, by the name that it has here.
    :param read: gives the rows of each split, with some columns only; can be called repeatedly.
    :param fingerprint: a text that changes with the contents.
    :param root: the folder of its files, if they are not on the Hub.
    :param is_named: whether it has a name or path of its own.
    """

    name: str
    features: Mapping[str, Any]
    splits: Mapping[str, str]
    read: Callable[[Sequence[str]], Mapping[str, Any]]
    fingerprint: str
    root: Path | None = None
    is_named: bool = True

    @property
    def identity(self) -> str:
        """What its decoded images are known by, also after their folder was moved."""
        if not self.is_named:
            return self.fingerprint
        return self.name if self.root is None else Path(self.name).resolve().name


def open_set(dataset: Any) -> HuggingFaceSet:
    """Opens a data set that is given as an object, or by its name or path.

    :raises ModuleNotFoundError: if the package is not installed.
    :raises FileNotFoundError: if there is no such file or set.
    :raises ConnectionError: if the Hub cannot be reached.
    :raises ValueError: if it cannot be read, or has no training split.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Hugging Face data sets need an extra: pip install 'ccvae-pyro[huggingface]'"
        ) from error
    if isinstance(dataset, str | Path):
        return _open_named(str(dataset).removeprefix("hf:"))
    if isinstance(dataset, datasets.Dataset):
        return _from_tables("the data set", {"train": dataset}, is_named=False)
    if isinstance(dataset, datasets.DatasetDict):
        return _from_tables("the data set", dataset, is_named=False)
    raise ValueError(
        "wanted a datasets.Dataset or a datasets.DatasetDict, or the name or path of one, which "
        f"is then streamed, got a {type(dataset).__name__}"
    )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Makes an error of the package one line that names the data set."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{name} does not exist ({_reason(error)})") from error
    except ConnectionError as error:
        raise ConnectionError(f"{name} cannot be reached ({_reason(error)})") from error
    except Exception as error:  # of pyarrow, fsspec, huggingface_hub, json, ...
        raise ValueError(f"{name} cannot be read as a data set ({_reason(error)})") from error


def _open_named(name: str) -> HuggingFaceSet:
    import datasets

    path = Path(name)
    if path.is_dir() and any((path / file).exists() for file in _SAVED):
        with reading(name):
            saved = datasets.load_from_disk(name)
        tables = saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
        return _from_tables(name, tables, path)
    if path.is_dir():
        return _stream(name, {"path": name}, path)
    if path.is_file() and path.suffix.lower() != ".parquet":
        raise ValueError(f"{name} is not a data set: wanted a folder or a parquet file")
    if path.is_file():
        return _stream(name, {"path": "parquet", "data_files": name}, path.parent)
    if path.suffix.lower() == ".parquet" or path.is_absolute() or name.count("/") > 1:
        raise FileNotFoundError(f"{name} does not exist")
    return _stream(name, {"path": name}, None)


# The files by which a folder that save_to_disk wrote is known.
_SAVED = ("dataset_dict.json", "state.json")


def _from_tables(
    name: str, tables: Mapping[str, Any], root: Path | None = None, *, is_named: bool = True
) -> HuggingFaceSet:
    """A set whose rows are at hand."""
    splits = _find_splits(name, [*tables])
    used = {split: tables[split].with_format(None) for split in splits.values()}
    features = used[splits["train"]].features
    for split, table in used.items():
        if table.features != features:
            raise ValueError(
                f"{name}: the columns of {split!r} are not those of {splits['train']!r}"
            )
    return HuggingFaceSet(
        name,
        features,
        splits,
        lambda columns: {split: used[split].select_columns([*columns]) for split in used},
        str({split: table._fingerprint for split, table in used.items()}),
        root,
        is_named,
    )


def _stream(name: str, where: Mapping[str, str], root: Path | None) -> HuggingFaceSet:
    """A set whose rows are read from its files, on the Hub or here, each time anew."""
    import datasets

    with reading(name):
        builder = datasets.load_dataset_builder(**where)
        streams = builder.as_streaming_dataset()
    splits = _find_splits(name, [*streams])
    files = {split: builder.config.data_files[split] for split in splits.values()}
    stamps = {split: (list(each), each.origin_metadata) for split, each in files.items()}
    with reading(name):
        train = streams[splits["train"]]
        features = train.features or train._resolve_features().features

    def read(columns: Sequence[str]) -> dict[str, Any]:
        options: dict[str, Any] = dict(where)
        if hasattr(builder.config, "columns"):  # parquet files, of which only these are read
            options["columns"] = [*columns]
        anew = datasets.load_dataset_builder(**options).as_streaming_dataset()
        return {split: anew[split].select_columns([*columns]) for split in splits.values()}

    return HuggingFaceSet(name, features, splits, read, str((builder.config.name, stamps)), root)


def _find_splits(name: str, found: Sequence[str]) -> dict[str, str]:
    """The name of each split in the set, by the name that it has here."""
    if len(found) == 1:
        return {"train": found[0]}
    splits: dict[str, str] = {}
    for split in SPLIT_NAMES:
        candidates = [each for each in found if each.lower() in _NAMES[split]]
        if len(candidates) > 1:
            raise ValueError(f"{name} has two splits for one: {' and '.join(candidates)}")
        if candidates:
            splits[split] = candidates[0]
    if "train" not in splits:
        raise ValueError(f"{name} has no split called train, only {', '.join(found) or 'none'}")
    if others := [each for each in found if each not in splits.values()]:
        say(f"{name}: the splits {', '.join(others)} are not used")
    return splits


def _reason(error: Exception) -> str:
    """The first line of the error that another one came from."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__
