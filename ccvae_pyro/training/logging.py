"""The history of a run: one line for each epoch, as CSV and, where installed, TensorBoard."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

from ccvae_pyro.data.files import atomic_write


def write_history(out: Path, history: list[dict[str, float]]) -> None:
    """Writes ``history.csv`` anew, so that it always tells of the checkpoint beside it.

    The newest epoch goes to TensorBoard too, if that is installed.
    """
    if not history:
        return
    with atomic_write(out / "history.csv") as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[-1]))
        writer.writeheader()
        writer.writerows(history)
    if find_spec("tensorboard") is None:
        return
    from torch.utils.tensorboard import SummaryWriter

    *_, record = history
    with SummaryWriter(out / "tensorboard", purge_step=record["epoch"]) as board:
        for name, value in record.items():
            if name != "epoch":
                board.add_scalar(name, value, record["epoch"])
