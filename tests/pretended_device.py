"""A device that is not there: tensors that say they are on it and compute on the CPU.

It refuses what Apple's GPUs refuse: numbers of 64 bits, and operands on two devices. It records
what makes the host wait for an accelerator: values that are read, and copies from or to the host.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")  # the one that PyTorch needs no hardware to differentiate on
# Operations that take an index, or a number to fill in, from the CPU.
MIXED = {"index", "index_put_", "_index_put_impl_", "copy_"}
# Operations whose result, or its shape, the host reads.
READ = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero"}


class OnDevice(torch.Tensor):
    """A tensor on the device; ``held`` is where its numbers are."""

    @staticmethod
    def __new__(cls, held):
        if held.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"{DEVICE.type} has no {held.dtype}")
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        tensor.held = held
        return tensor

    def tolist(self):
        return self.held.tolist()

    def new_tensor(self, data, **kwargs):
        return torch.tensor(data, **{"dtype": self.dtype, **kwargs}).to(DEVICE)

    def __setitem__(self, index, value):
        parts = index if isinstance(index, tuple) else (index,)
        parts = tuple(torch.tensor(p) if isinstance(p, list) else p for p in parts)
        super().__setitem__(parts, value if torch.is_tensor(value) else self.new_tensor(value))

    def __reduce_ex__(self, protocol):
        return self.held.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        with PretendedDevice():
            return function(*args, **(kwargs or {}))


class Constants(TorchFunctionMode):
    """Makes tensors of Python's numbers on the device as PyTorch does: by a copy."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if function in (torch.tensor, torch.as_tensor) and device is not None:
            kwargs = {name: value for name, value in kwargs.items() if name != "device"}
            return function(*args, **kwargs).to(device)
        return function(*args, **kwargs)


class PretendedDevice(TorchDispatchMode):
    """Makes and computes tensors on the device."""

    #: What made the host wait: a list, while somebody asks.
    waits = None

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if self.waits is not None and (reason := why_it_waits(function, tensors, args, kwargs)):
            self.waits.append(reason)
        mine = [each for each in tensors if isinstance(each, OnDevice)]
        if any(each.is_meta and not isinstance(each, OnDevice) for each in tensors):
            raise NotImplementedError(
                "torch.tensor(..., device=...) makes no tensor on the device"
            )
        name = function.overloadpacket.__name__
        device = kwargs.get("device")
        if device is not None:
            kwargs = kwargs | {"device": torch.device("cpu"), "pin_memory": False}
            kwargs.pop("pin_memory")
        if (
            name not in MIXED
            and mine
            and any(each.dim() for each in tensors if not isinstance(each, OnDevice))
        ):
            raise RuntimeError(f"{name} has operands on two devices")
        if mine and name == "_to_copy" and kwargs.get("dtype") == torch.float64:
            raise TypeError(f"{DEVICE.type} has no float64, also on the way to another device")
        held, held_kwargs = tree_map_only(OnDevice, lambda each: each.held, (args, kwargs))
        result = function(*held, **held_kwargs)
        stays = bool(mine) if device is None else torch.device(device).type == DEVICE.type
        if name == "copy_":
            stays = isinstance(args[0], OnDevice)
        if not stays:
            return result
        # What was changed in place is the same tensor still.
        known = {id(each.held): each for each in mine}
        return tree_map_only(
            torch.Tensor,
            lambda each: known[id(each)] if id(each) in known else OnDevice(each),
            result,
        )


def why_it_waits(function, tensors, args, kwargs) -> str | None:
    """For what the host waits in an operation, if it waits."""
    name = function.overloadpacket.__name__
    are_mine = [isinstance(each, OnDevice) for each in tensors]
    if name == "_to_copy":
        goes_there = torch.device(kwargs.get("device") or tensors[0].device).type == DEVICE.type
        return None if goes_there == are_mine[0] else f"copy {'to' if goes_there else 'from'} it"
    if not any(are_mine):
        return None
    if name in READ:
        return name
    if name in MIXED - {"copy_"}:
        indices = [each for each in args[1] if each is not None]
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            return "boolean index"
    return None if all(are_mine) else f"host tensor in {name}"


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """The device, while there is one."""
    # Backward passes have no thread for a device that is not there.
    with torch.autograd.set_multithreading_enabled(False), PretendedDevice(), Constants():
        yield DEVICE


@contextmanager
def recorded_waits() -> Iterator[list[str]]:
    """What makes the host wait for the device, as it comes."""
    PretendedDevice.waits = waits = []
    try:
        yield waits
    finally:
        PretendedDevice.waits = None
