"""The history of a run: a row for each epoch, as CSV and, where installed, in TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ccvae_pyro.data.files import atomic_write


def write_history(out: Path, history: Sequence[dict[str, float]]) -> None:
    """Writes ``history.csv`` anew, so that it always agrees with the checkpoint beside it.

    If TensorBoard is installed, the last epoch is logged there too.
    """
    if not history:
        return
    columns = list(history[-1])
    with atomic_write(out / "history.csv") as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(history)
    if find_spec("tensorboard") is not None:
        _log_to_tensorboard(out / "tensorboard", history[-1])


def _log_to_tensorboard(folder: Path, record: dict[str, float]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    epoch = int(record["epoch"])
    with SummaryWriter(folder, purge_step=epoch) as board:
        for name, value in record.items():
            if name != "epoch":
                board.add_scalar(name, value, epoch)
