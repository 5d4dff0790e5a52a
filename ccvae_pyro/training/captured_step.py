"""A training step that is captured once as a CUDA graph, and then replayed without any Python.

An eager step issues hundreds of kernels from milliseconds of Python. A GPU that needs one
millisecond for the networks waits for them. A replay issues all of them at once.
"""

from __future__ import annotations

import gc
import linecache
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyro
import torch
from pyro.infer import SVI
from torch import Tensor

from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.training.optimizers import JointAdam

# Steps with a kind of batch that are eager, lest kernels be chosen, or constants made, in a graph.
# The last of them is watched for operations that cannot be captured.
NUM_WARMUP = 3
MAX_GRAPHS = 8  # kinds of batches; each keeps the memory of a step


class Recorder(Protocol):
    """Records the operations of a function, to issue them again without it."""

    def run(self, function: Callable[[], Any]) -> Any:
        """Calls a function as it is called to record it, but does not."""

    def watch(self, function: Callable[[], Any]) -> tuple[Any, list[str]]:
        """As :meth:`run`; returns also the operations that make the host wait, in words."""

    def record(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Records a function, which computes nothing meanwhile.

        :returns: computes it. The result is always the same tensor.
        :raises RuntimeError: if it cannot be recorded.
        """


class CapturedStep:
    """A step of SVI whose operations are recorded once for each kind of batch, and then replayed.

    The inputs are copied to buffers, which the recorded operations read. So are the numbers that
    the host changes from step to step: learning rates, and scheduled attributes of the objective.
    All else that Python decides is fixed when it is recorded. Where attributes of the objective
    that are not scheduled change, or the model is set to evaluate, it is recorded anew.

    :param step: takes an eager step with a batch; returns the loss as a tensor.
    :param svi: what takes the step, with a :class:`~ccvae_pyro.JointAdam`.
    :param model: the model, whose parameters and mode ``svi`` uses.
    :param recorder: records on the model's device.
    :param received: the batch from the inputs of a step, on the device; by default the inputs are
        the batch. See :meth:`ccvae_pyro.data.Batches.received`.
    :param scheduled: names of attributes of the objective that change from step to step.
    :param is_required: whether a step that cannot be captured is an error. By default there is a
        warning that names the operation, and all further steps are eager.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        svi: SVI,
        model: torch.nn.Module,
        recorder: Recorder,
        *,
        received: Callable[..., tuple[Tensor, ...]] | None = None,
        scheduled: Sequence[str] = (),
        is_required: bool = False,
    ) -> None:
        self.step, self.model, self.recorder = step, model, recorder
        self.received, self.scheduled, self.is_required = received, scheduled, is_required
        self.adam: JointAdam = svi.optim
        self.objective: Any = getattr(svi.loss_and_grads, "__self__", None)
        self.device, self.dtype = next((p.device, p.dtype) for p in model.parameters())
        self._numbers = _Numbers(self.device)
        self._graphs: dict[Any, _Graph] = {}
        self._is_eager = False

    def __call__(self, *inputs: Tensor) -> Any:
        """Takes a step; returns the loss.

        :raises UnsupportedError: if it cannot be captured, and has to be.
        """
        graph = self._graph_of(inputs)
        if graph is None:
            return self._run_eagerly(inputs)
        graph.load(inputs)
        if graph.replay is not None:
            self._numbers.update()
            return graph.replay().clone()  # the next replay overwrites it
        graph.num_steps += 1
        if graph.num_steps < NUM_WARMUP:
            return self.recorder.run(lambda: self._step_with(graph.inputs))
        if graph.num_steps == NUM_WARMUP:
            return self._rehearse(graph)
        return self._record(graph)

    def _graph_of(self, inputs: tuple[Tensor, ...]) -> _Graph | None:
        """What is recorded for this kind of inputs; None if a step with them is eager."""
        if self._is_eager:
            return None
        kind = self._kind_of(inputs)
        if kind not in self._graphs:
            if len(self._graphs) == MAX_GRAPHS:
                self._give_up(f"there are more than {MAX_GRAPHS} sizes of batches or settings")
                return None
            self._graphs[kind] = _Graph.for_inputs(inputs, self.device)
        return self._graphs[kind]

    def _kind_of(self, inputs: tuple[Tensor, ...]) -> Any:
        """What is fixed in a graph, as far as it may change from one step to another."""
        of_inputs = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        settings = getattr(self.objective, "__dict__", {})
        of_objective = tuple(
            (name, value)
            for name, value in settings.items()
            if isinstance(value, bool | int | float | str)
            and name not in self.scheduled
            and not name.startswith("_")
        )
        return of_inputs, of_objective, self.model.training

    def _step_with(self, inputs: Sequence[Tensor]) -> Any:
        batch = inputs if self.received is None else self.received(*inputs)
        return self.step(*batch)

    def _run_eagerly(self, inputs: tuple[Tensor, ...]) -> Any:
        is_asynchronous = self.device.type == "cuda"
        on_device = [tensor.to(self.device, non_blocking=is_asynchronous) for tensor in inputs]
        return self.recorder.run(lambda: self._step_with(on_device))

    def _rehearse(self, graph: _Graph) -> Any:
        """Takes a step as it is to be recorded, and looks for what makes the host wait."""
        with self._as_recorded():
            loss, waits = self.recorder.watch(lambda: self._step_with(graph.inputs))
        if not waits and not isinstance(loss, Tensor):
            waits = [f"the objective returns its loss as {type(loss).__name__}"]
        if waits:
            self._give_up(waits[0])
        return loss

    def _record(self, graph: _Graph) -> Any:
        """Records the step of a kind of batch, and takes it."""
        try:
            with self._as_recorded():
                graph.replay = self.recorder.record(lambda: self._step_with(graph.inputs))
        except RuntimeError as error:
            for group in self.adam.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None  # it was not computed
            self._give_up(str(error).partition("\n")[0])
            return self.recorder.run(lambda: self._step_with(graph.inputs))
        return graph.replay().clone()

    @contextmanager
    def _as_recorded(self) -> Iterator[None]:
        """Python's part of a step as it is when the step is recorded."""
        # A fused Adam takes its learning rate in single precision on CUDA, in double on a CPU.
        of_rates = torch.float32 if self.device.type == "cuda" else torch.float64
        for group in self.adam.param_groups:
            self._numbers.add(group, "lr", of_rates)
        for name in self.scheduled:
            self._numbers.add(vars(self.objective), name, self.dtype)
        self._numbers.update()
        with ExitStack() as stack:
            stack.enter_context(pyro.validation_enabled(False))  # which waits for values
            if self.device.type == "cuda":
                stack.enter_context(self.adam.capturable())
            stack.enter_context(self._numbers.on_device())
            yield

    def _give_up(self, reason: str) -> None:
        """Takes all further steps eagerly."""
        self._is_eager = True
        self._graphs.clear()
        if self.is_required:
            raise UnsupportedError(f"a training step cannot be captured in a CUDA graph: {reason}")
        warnings.warn(f"training steps run without a CUDA graph: {reason}", stacklevel=4)


@dataclass
class _Graph:
    """The buffers of a kind of batch, and the step with them once it is recorded."""

    inputs: list[Tensor]
    num_steps: int = 0
    replay: Callable[[], Tensor] | None = None

    @classmethod
    def for_inputs(cls, inputs: tuple[Tensor, ...], device: torch.device) -> _Graph:
        return cls([torch.empty_like(tensor, device=device) for tensor in inputs])

    def load(self, inputs: tuple[Tensor, ...]) -> None:
        """Copies the inputs of a step to the buffers."""
        for buffer, tensor in zip(self.inputs, inputs, strict=True):
            buffer.copy_(tensor, non_blocking=True)


class _Numbers:
    """Numbers that the host sets before a step, as tensors that recorded operations read."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._places: list[tuple[dict[str, Any], str]] = []
        self._tensors: list[Tensor] = []
        self._values: list[float | None] = []

    def add(self, holder: dict[str, Any], name: str, dtype: torch.dtype) -> None:
        """Adds the number that a dict holds under a name, unless it is known."""
        is_known = any(known is holder and name == of for known, of in self._places)
        if is_known or isinstance(holder[name], Tensor):
            return
        self._places.append((holder, name))
        self._tensors.append(torch.zeros((), dtype=dtype, device=self.device))
        self._values.append(None)

    def update(self) -> None:
        """Copies the numbers that have changed to the device."""
        for i, (holder, name) in enumerate(self._places):
            if holder[name] != self._values[i]:
                self._values[i] = holder[name]
                self._tensors[i].fill_(holder[name])

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Within the block the dicts hold tensors in place of the numbers."""
        numbers = [holder[name] for holder, name in self._places]
        for (holder, name), tensor in zip(self._places, self._tensors, strict=True):
            holder[name] = tensor
        try:
            yield
        finally:
            for (holder, name), number in zip(self._places, numbers, strict=True):
                holder[name] = number


class GraphRecorder:
    """Records as CUDA graphs, on a stream of its own.

    Eager steps run on that stream too: autograd nodes that accumulate gradients, and the handles
    of libraries, belong to the stream on which they were made.

    :param device: a CUDA device with an index.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        # Of all graphs: they are replayed one at a time, and the loss of each is copied at once.
        self._pool: Any = None

    def run(self, function: Callable[[], Any]) -> Any:
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = function()
        current.wait_stream(self.stream)
        return result

    def watch(self, function: Callable[[], Any]) -> tuple[Any, list[str]]:
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                result = self.run(function)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        waits = []
        for warning in caught:
            if "synchronizing CUDA operation" in str(warning.message):
                waits.append(_place_of(warning))
            elif "Synchronization debug mode" not in str(warning.message):
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        return result, waits

    def record(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        gc.collect()  # what cycles hold on the device is not needed beside the graph
        generator = torch.cuda.default_generators[self.device.index or 0]
        spare = generator.clone_state()
        graph = torch.cuda.CUDAGraph()
        try:
            # The stream once more: if a capture fails, PyTorch does not go back to the other one.
            # Errors are those of this thread: another one pins memory for the next batches.
            with (
                torch.cuda.device(self.device),
                torch.cuda.stream(self.stream),
                torch.cuda.graph(
                    graph, self._pool, self.stream, capture_error_mode="thread_local"
                ),
            ):
                loss = function()
        except BaseException:
            # The generator may go on to count the numbers of a graph that is not there.
            generator.graphsafe_set_state(spare)
            raise
        self._pool = graph.pool()

        def replay() -> Tensor:
            graph.replay()
            return loss

        return replay


def _place_of(warning: warnings.WarningMessage) -> str:
    """Where in the program the host waits."""
    line = linecache.getline(warning.filename, warning.lineno).strip()
    return f"the host waits at {Path(warning.filename).name}, line {warning.lineno}, {line!r}"
