"""Which device to train on, in which precision, and what waits for it."""

from __future__ import annotations

import torch


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name, or, for ``"auto"``, the fastest kind that this machine has.

    :raises ValueError: if the device is not there.
    """
    if name == "auto":
        is_apple = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if is_apple else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"there is no device {name!r} here: {reason}") from error
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name, or, for ``"auto"``, bfloat16 where networks are faster by it.

    That is a GPU which has it, or a processor with matrix tiles for it (AMX) or with its dot
    products (AVX-512 BF16, by which a step takes some two thirds of the time).

    :param name: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
    """
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        is_faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        get_capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])  # since 2.10
        has = get_capabilities() if device.type == "cpu" else {}
        is_faster = bool(has.get("amx_bf16") or has.get("avx512_bf16"))
    return torch.bfloat16 if is_faster else torch.float32
