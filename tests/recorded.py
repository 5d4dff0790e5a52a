"""Recorders of training steps that need no GPU."""

import linecache
import traceback
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")


class Calls:
    """Records nothing: what is recorded is the function, which is called again."""

    def run(self, function):
        return function()

    def watch(self, function):
        return function(), []

    def record(self, function):
        return function


class Replays(Calls):
    """Records operations on a CPU as a CUDA graph does those of a GPU.

    To record a function changes nothing. A replay runs the same operations, without Python, on the
    same tensors. An operation for which the host waits cannot be recorded.
    """

    def watch(self, function):
        with _Watch() as watch:
            result = function()
        return result, watch.found

    def record(self, function):
        state = torch.get_rng_state()
        recording = _Recording()
        try:
            with recording:
                result = function()
        finally:
            recording.undo()
            torch.set_rng_state(state)

        def replay():
            recording.replay()
            return result

        return replay


class _Watch(TorchDispatchMode):
    """Notes the operations that wait, and the lines that they are in."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in WAITS:
            frame = [f for f in traceback.extract_stack() if "torch" not in f.filename][-2]
            line = linecache.getline(frame.filename, frame.lineno).strip()
            self.found.append(f"{name} in {Path(frame.filename).name}, {line!r}")
        return function(*args, **(kwargs or {}))


class _Recording(TorchDispatchMode):
    """Records operations with their arguments and results."""

    def __init__(self):
        super().__init__()
        self.calls, self._before = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        if name in WAITS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        schema = function._schema
        named = dict(zip((a.name for a in schema.arguments), args, strict=False)) | kwargs
        changed = [
            tensor
            for argument in schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write
            for tensor in tree_leaves(named.get(argument.name))
            if isinstance(tensor, torch.Tensor)
        ]
        with torch.no_grad():
            self._before += [(tensor, tensor.clone()) for tensor in changed]
        result = function(*args, **kwargs)
        is_view = any(r.alias_info is not None for r in schema.returns) and not changed
        if not is_view:
            results = [] if changed else tree_leaves(result)
            self.calls.append((function, args, kwargs, results))
        return result

    @torch.no_grad()
    def undo(self):
        for tensor, before in reversed(self._before):
            tensor.copy_(before)
        self._before.clear()

    @torch.no_grad()
    def replay(self):
        for function, args, kwargs, results in self.calls:
            found = tree_leaves(function(*args, **kwargs))
            for tensor, value in zip(results, found, strict=False):
                if isinstance(tensor, torch.Tensor):
                    tensor.copy_(value)
