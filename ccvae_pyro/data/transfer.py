"""From arrays to tensors on a device, for whose copies the host need not wait."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

CHUNK = 2**24  # bytes that are uploaded at a time: page-locked memory is scarce, and kept
LONG = 2**28  # bytes from which on an upload shows how far it is


def staged(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """An array as a tensor of the host, page-locked where CUDA is to fetch it."""
    tensor = torch.as_tensor(array)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """What was :func:`staged`, on its device."""
    # Elsewhere nothing holds the memory until a copy that is not waited for is done.
    return tensor.to(device, non_blocking=device.type == "cuda")


def uploaded(array: np.ndarray, rows: np.ndarray, device: torch.device) -> Tensor:
    """Rows of an array on a device, piece by piece: a memory map need not fit into memory."""
    dtype = torch.as_tensor(array[rows[:0]]).dtype
    on_device = torch.empty((len(rows), *array.shape[1:]), dtype=dtype, device=device)
    size = max(1, CHUNK // array[:1].nbytes)
    is_short = on_device.nbytes < LONG
    name = f"images to {device}"
    with tqdm(desc=name, total=len(rows), unit="image", disable=is_short) as bar:
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            piece = staged(array[part], device)
            on_device[start : start + size].copy_(piece, non_blocking=device.type == "cuda")
            bar.update(len(part))
    return on_device


def free_memory(device: torch.device) -> int:
    """How many bytes a device has left; of one without CUDA, what any should have."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 2**31
