"""The device to train on, and the precision of the networks there."""

from __future__ import annotations

import torch


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name; for ``"auto"``, a GPU if there is one, and the CPU otherwise.

    :raises ValueError: if the device is not available.
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
    """The dtype of a name; for ``"auto"``, bfloat16 where the hardware supports it natively.

    These are GPUs with bfloat16, and CPUs with AMX or AVX-512 BF16 instructions. On the latter a
    training step takes about two thirds of its time in float32.

    :param name: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
    """
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        is_native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        get_capabilities = getattr(torch.cpu, "get_capabilities", dict)  # since PyTorch 2.10
        capabilities: dict[str, bool] = get_capabilities() if device.type == "cpu" else {}
        is_native = bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return torch.bfloat16 if is_native else torch.float32
