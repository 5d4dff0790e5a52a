"""Modules that ``torch.save`` pickled whole, read without running any code of their file.

A pickle is a program: to open it by :mod:`pickle` is to run it. Here its instructions are followed
one by one, and none of them calls or imports anything. A name in the file has to be one of a short
list, and stands for a plain record of what the file says about it.
"""

from __future__ import annotations

import math
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ccvae_pyro.errors import CheckpointError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of PyTorch's format before version 1.6
_DTYPES = {"HalfStorage": torch.float16, "FloatStorage": torch.float32}
_DTYPES |= {"DoubleStorage": torch.float64}
_TORCH_LAYERS = {
    "torch.nn.modules.container": {"Sequential"},
    "torch.nn.modules.conv": {"Conv2d", "ConvTranspose2d"},
    "torch.nn.modules.linear": {"Linear"},
    "torch.nn.modules.activation": {"ReLU", "Sigmoid"},
}
_TENSORS = {
    "torch": set(_DTYPES),
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
    "collections": {"OrderedDict"},
    "__builtin__": {"set"},
    "builtins": {"set"},
}


@dataclass(eq=False, repr=False)
class PickledModule:
    """What a file says about a module: the name of its class, and its attributes."""

    kind: str
    state: dict[str, Any] = field(default_factory=dict)

    def child(self, path: str) -> PickledModule:
        """A module within this one, such as ``encoder.0``.

        :raises ValueError: if there is none.
        """
        module = self
        for name in path.split("."):
            child = _dict(module.state, "_modules").get(name)
            if not isinstance(child, PickledModule):
                raise ValueError(f"{self.kind} has no {path}")
            module = child
        return module

    def children(self) -> list[PickledModule]:
        """The modules directly within this one, in order."""
        return [self.child(name) for name in _dict(self.state, "_modules")]

    def tensor(self, name: str) -> Tensor:
        """A parameter of this module.

        :raises ValueError: if there is none.
        """
        view = _dict(self.state, "_parameters").get(name)
        if not isinstance(view, _View):
            raise ValueError(f"{self.kind} has no parameter {name}")
        return view.tensor()


def read_module(path: Path, classes: Mapping[str, set[str]]) -> PickledModule:
    """Reads a module that ``torch.save`` wrote, in its present format or in that before 1.6.

    :param classes: the names of the classes that a file may have besides PyTorch's, by module.
    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if it is truncated or no such file, or refers to anything else than
        these classes, layers of PyTorch and tensors. The message names what it refers to.
    """
    contents = path.read_bytes()
    known = {**_TORCH_LAYERS, **_TENSORS, **classes}
    try:
        if zipfile.is_zipfile(BytesIO(contents)):
            module = _read_zip(contents, known)
        else:
            module = _read_legacy(BytesIO(contents), known)
    except _RefusedError as error:
        raise CheckpointError(f"{path} is refused, and nothing of it was run: {error}") from None
    except Exception as error:  # of many types, for files of other bytes
        raise CheckpointError(
            f"{path} cannot be read: truncated, or no module that torch.save wrote"
        ) from error
    if not isinstance(module, PickledModule):
        raise CheckpointError(f"{path} holds a {type(module).__name__}, wanted a module")
    return module


def are_ints(values: Any) -> bool:
    """Whether a value in a file is a tuple of whole numbers."""
    return type(values) is tuple and all(type(value) is int for value in values)


class _RefusedError(ValueError):
    """A file that refers to anything else than modules and tensors."""


@dataclass(frozen=True)
class _Name:
    """A name in a file, which is never imported."""

    module: str
    name: str


@dataclass(eq=False)
class _Storage:
    """The numbers of one or several tensors, which are in the file apart from its pickle."""

    dtype: torch.dtype
    numel: int
    data: bytes = b""

    @property
    def num_bytes(self) -> int:
        return self.numel * self.dtype.itemsize

    def fill(self, data: bytes) -> None:
        """Sets the numbers.

        :raises ValueError: if there are more or fewer.
        """
        if len(data) != self.num_bytes:
            raise ValueError("a storage is of another size")
        self.data = data


@dataclass(eq=False)
class _View:
    """A tensor: its part of a storage."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self) -> Tensor:
        """A copy of it.

        :raises ValueError: if the storage has fewer values.
        """
        if math.prod(self.size) > self.storage.numel:
            raise ValueError(f"a tensor of shape {self.size} has {self.storage.numel} values")
        values = torch.frombuffer(bytearray(self.storage.data), dtype=self.storage.dtype)
        try:
            return values.as_strided(self.size, self.stride, self.offset).clone()
        except RuntimeError as error:
            raise ValueError("a tensor exceeds its storage") from error


def _read_zip(contents: bytes, known: Mapping[str, set[str]]) -> Any:
    """The format since PyTorch 1.6: a zip file of a pickle and of a file for each storage."""
    with zipfile.ZipFile(BytesIO(contents)) as file:
        # PyTorch compresses none, and one could exceed the memory.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in file.infolist()):
            raise ValueError("an entry is compressed")
        (pickled,) = [name for name in file.namelist() if name.endswith("/data.pkl")]
        folder = pickled.removesuffix("data.pkl")
        if (
            f"{folder}byteorder" in file.namelist()
            and file.read(f"{folder}byteorder") != b"little"
        ):
            raise ValueError("the bytes of its numbers are in another order")
        machine = _Machine(known)
        module = machine.run(BytesIO(file.read(pickled)))
        for key, storage in machine.storages.items():
            storage.fill(file.read(f"{folder}data/{key}"))
    return module


def _read_legacy(file: IO[bytes], known: Mapping[str, set[str]]) -> Any:
    """The format before PyTorch 1.6: five pickles, and then the storages one by one."""
    machine = _Machine(known)
    magic, protocol, system = (machine.run(file) for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or system.get("little_endian") is not True:
        raise ValueError("it is of another format")
    module, keys = machine.run(file), machine.run(file)
    for key in keys:
        storage = machine.storages[_text(key)]
        if int.from_bytes(file.read(8), "little") != storage.numel:
            raise ValueError("a storage is of another size")
        storage.fill(file.read(storage.num_bytes))
    return module


class _Machine:
    """Follows the instructions of a pickle, as far as modules and tensors need them.

    They are described in :mod:`pickletools`, of the standard library.
    """

    def __init__(self, known: Mapping[str, set[str]]) -> None:
        self.known = known
        self.storages: dict[str, _Storage] = {}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: IO[bytes]) -> Any:
        """Follows one pickle to its end, and returns what it describes."""
        self.stack, self.marks, self.memo = [], [], {}
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name not in _INSTRUCTIONS:
                what = f" {argument}" if isinstance(argument, str) else ""
                raise _RefusedError(f"it has the instruction {opcode.name}{what}")
            _INSTRUCTIONS[opcode.name](self, argument)
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        start = self.marks.pop()
        values, self.stack[start:] = self.stack[start:], []
        return values

    def push_tuple(self, size: int) -> None:
        values = [self.stack.pop() for _ in range(size)]
        self.push(tuple(reversed(values)))

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError("wanted a dict")
        target.update(zip(map(_text, values[::2]), values[1::2], strict=True))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("wanted a list")
        target.extend(values)

    def push_name(self, module: str, name: str) -> None:
        """A name, if it is a known one.

        :raises _RefusedError: if not.
        """
        if name not in self.known.get(module, ()):
            raise _RefusedError(f"it refers to {module}.{name}, no layer or tensor that is known")
        self.push(_Name(module, name))

    def push_persistent(self) -> None:
        """The class of a module, with its source, which is not read; or a storage."""
        kind, first, *rest = self.stack.pop()
        if kind == "module" and isinstance(first, _Name):
            self.push(first)
            return
        if kind != "storage" or not isinstance(first, _Name):
            raise ValueError(f"a reference to a {kind}")
        key, _, numel, *_ = rest
        storage = _Storage(_DTYPES[first.name], int(numel))
        self.push(self.storages.setdefault(_text(key), storage))

    def create(self) -> None:
        """A module, still without attributes."""
        _, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or name.module in _TENSORS:
            raise ValueError("no module")
        self.push(PickledModule(name.name))

    def build(self) -> None:
        """The attributes of a module; those of a dict, which state dicts have, are left out."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, PickledModule) and isinstance(state, dict):
            target.state.update(state)
        elif not isinstance(target, dict):
            raise ValueError("wanted a module and its attributes")

    def reduce(self) -> None:
        """A tensor, a parameter, or an empty collection."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name):
            raise ValueError("wanted a name")
        if name.name == "_rebuild_tensor_v2":
            storage, offset, size, stride, *_ = arguments
            if not isinstance(storage, _Storage) or not are_ints((offset, *size, *stride)):
                raise ValueError("no tensor")
            self.push(_View(storage, offset, size, stride))
        elif name.name == "_rebuild_parameter":
            self.push(arguments[0])
        elif name.name == "OrderedDict" and arguments == ():
            self.push({})
        elif name.name == "set":
            self.push(list(*arguments))
        else:
            raise ValueError(f"{name.name} is not called so by torch.save")


def _text(key: Any) -> str:
    """A key; to hash another one, such as a tuple of tuples, may overflow the stack."""
    if type(key) is not str:
        raise ValueError(f"wanted a text as key, got a {type(key).__name__}")
    return key


def _dict(state: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = state.get(key)
    return value if isinstance(value, dict) else {}


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "BININT": _Machine.push,
    "BININT1": _Machine.push,
    "BININT2": _Machine.push,
    "LONG1": _Machine.push,
    "BINFLOAT": _Machine.push,
    "BINUNICODE": _Machine.push,
    "SHORT_BINUNICODE": _Machine.push,
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.push_tuple(1),
    "TUPLE2": lambda m, _: m.push_tuple(2),
    "TUPLE3": lambda m, _: m.push_tuple(3),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_to_mark()),
    "BINPUT": lambda m, number: m.memo.update({number: m.stack[-1]}),
    "LONG_BINPUT": lambda m, number: m.memo.update({number: m.stack[-1]}),
    "MEMOIZE": lambda m, _: m.memo.update({len(m.memo): m.stack[-1]}),
    "BINGET": lambda m, number: m.push(m.memo[number]),
    "LONG_BINGET": lambda m, number: m.push(m.memo[number]),
    "GLOBAL": lambda m, names: m.push_name(*names.split(" ")),
    "STACK_GLOBAL": lambda m, _: m.push_name(*[m.stack.pop(), m.stack.pop()][::-1]),
    "BINPERSID": lambda m, _: m.push_persistent(),
    "NEWOBJ": lambda m, _: m.create(),
    "BUILD": lambda m, _: m.build(),
    "REDUCE": lambda m, _: m.reduce(),
}
