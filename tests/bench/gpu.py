"""Runs the tests that need a GPU, and measures training steps there: `make gpu`.

It takes less than five minutes on one card and needs no network. Besides PyTorch and the usual
scientific packages it needs those of the package, installed or on PYTHONPATH; pytest for the
tests, and DiceBear for the avatars. What is missing is said and left out. On a machine without a
GPU `--small` runs the same on the CPU, with little of everything.

PYTHONPATH=.:tests python tests/bench/gpu.py
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from bench.steps import Setting, bare_step, images, new_svi
from torch.profiler import ProfilerActivity, profile

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.labels import binaries
from ccvae_pyro.training import make_step
from ccvae_pyro.training.captured_step import NUM_WARMUP, GraphRecorder

ROOT = Path(__file__).parents[2]
OBJECTIVES: dict[str, Callable[[], Any]] = {
    "CCVAE_ELBO": CCVAE_ELBO,
    "ExactCCVAE_ELBO": lambda: ExactCCVAE_ELBO(300.0),
    "ExactCCVAE_ELBO, label consistency": lambda: ExactCCVAE_ELBO(300.0, consistency_weight=20.0),
}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NUM_LABELS, NUM_CELEBA, BATCH = 18, 162_770, 200
TIMEOUT = 600.0  # seconds of the tests, and of the avatars


class Size(NamedTuple):
    """How much is measured."""

    batch_sizes: tuple[int, ...] = (50, 200, 1000)
    seconds: float = 0.25  # of each measurement, at least
    num_images: int = NUM_CELEBA
    num_losses: int = 200
    avatars: tuple[str, ...] = ("--num-images", "3000", "--epochs", "10")


SMALL = Size((4,), 0.0, 24, 8, ("--num-images", "60", "--epochs", "1", "--batch-size", "20"))


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints and writes; returns 1 if anything failed."""
    args = parse(arguments)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not args.small:
        print("gpu.py: error: there is no CUDA device here; --small runs on the CPU")
        return 2
    size, start = SMALL if args.small else Size(), time.perf_counter()
    torch.set_default_dtype(torch.float32)
    report: dict[str, Any] = {"machine": machine(device)}
    print(json.dumps(report["machine"], indent=2))
    failures = []
    for name, measure in {
        "tests": lambda: run_tests(device),
        "steps": lambda: steps(device, size),
        "published": lambda: published_steps(args.published, device, size),
        "losses": lambda: losses(device, size),
        "epochs": lambda: epochs(args.published, device, size),
        "avatars": lambda: avatars(device, size),
    }.items():
        try:
            report[name] = measure()
        except Exception as error:  # the others are measured all the same
            report[name] = {"error": f"{type(error).__name__}: {error}"}
        if "error" in report[name]:
            failures.append(name)
        show(name, report[name])
        report["seconds"] = round(time.perf_counter() - start, 1)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{args.out}: {report['seconds']} s; failed: {', '.join(failures) or 'nothing'}")
    return 1 if failures else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--small", action="store_true", help="little of everything, which also runs on a CPU")
    add("--published", type=Path, metavar="DIR", help="a checkout of thwjoy/ccvae to compare with")
    add("--out", type=Path, default=Path("build/gpu.json"), help="default: build/gpu.json")
    return parser.parse_args(arguments)


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers are of."""
    is_cuda = device.type == "cuda"
    return {
        "date": date.today().isoformat(),
        "device": torch.cuda.get_device_name(device) if is_cuda else platform.processor() or "CPU",
        "driver": driver() if is_cuda else None,
        "cuda": torch.version.cuda if is_cuda else None,
        "cudnn": torch.backends.cudnn.version() if is_cuda else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pyro": pyro.__version__,
        "ccvae_pyro": ccvae_pyro.__version__,
    }


def driver() -> str | None:
    """The version of NVIDIA's driver, if it can be asked."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    found = subprocess.run(query, capture_output=True, text=True)
    return found.stdout.partition("\n")[0].strip() or None


# Tests


def test_files() -> list[Path]:
    """The files that have tests which need a GPU; the names of these tests say so."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    mark = 'reason="needs a (GPU|CUDA device)"'
    return [file for file in files if re.search(mark, file.read_text())]


def run_tests(device: torch.device) -> dict[str, Any]:
    """Runs them; on a CPU they are only collected."""
    if find_spec("pytest") is None:
        return {"skipped": "pytest is not installed: the tests that need a GPU were not run"}
    # Without the options of setup.cfg, which need plugins.
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-W", "default"]
    command += ["--import-mode=importlib", "-k", "gpu or cuda", "-p", "no:cacheprovider"]
    command += ["--collect-only"] * (device.type == "cpu")
    paths = os.pathsep.join(map(str, [ROOT, ROOT / "tests"]))
    environment = os.environ | {
        "PYTHONPATH": paths + os.pathsep + os.environ.get("PYTHONPATH", "")
    }
    finished = subprocess.run(
        [*command, *map(str, test_files())],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    closing = (finished.stdout.strip().splitlines() or ["nothing was printed"])[-1]
    if finished.returncode:
        print(finished.stdout[-6000:], finished.stderr[-2000:])
        return {"error": closing}
    return {"result": closing}


# Steps


def steps(device: torch.device, size: Size) -> dict[str, Any]:
    """Bare networks and steps of each objective, eager and captured."""
    rows = []
    for precision, dtype in PRECISIONS.items():
        for batch_size in size.batch_sizes:
            setting = Setting(batch_size=batch_size, device=device, precision=dtype)
            bare: dict[str, float] = {}
            for what in ("networks alone", *OBJECTIVES):
                for way in ways(device):
                    row = {"precision": precision, "images": batch_size, "what": what, "way": way}
                    try:
                        row |= measure(partial(new_step, what, way, setting), size)
                    except Exception as error:
                        row |= {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}
                    if "ms" in row:
                        bare.setdefault(way, row["ms"])
                        row["ratio"] = round(row["ms"] / bare[way], 3)
                    rows.append(row)
    failed = [row for row in rows if "error" in row]
    return {"rows": rows} | ({"error": f"{len(failed)} of {len(rows)} rows"} if failed else {})


def ways(device: torch.device) -> tuple[str, ...]:
    """How steps are taken: a CPU captures nothing."""
    return ("eager", "captured") if device.type == "cuda" else ("eager",)


def new_step(what: str, way: str, setting: Setting) -> Callable[[], Any]:
    """A step with a batch of its own."""
    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    if what == "networks alone":
        step = bare_step(setting)
        if way == "eager":
            return step
        recorder = GraphRecorder(setting.device)
        for _ in range(NUM_WARMUP):
            recorder.run(step)
        return recorder.record(step)
    step_of_batch = make_step(
        *new_svi(OBJECTIVES[what](), setting), cuda_graph="on" if way == "captured" else "off"
    )
    y = torch.randint(2, (setting.batch_size, NUM_LABELS), device=setting.device).float()
    x = images(setting)
    step_of_batch(x, y)  # Pyro checks values in the first step, and waits for them

    def step_without_checks() -> Any:
        with pyro.validation_enabled(False):
            return step_of_batch(x, y)

    return step_without_checks


def measure(new: Callable[[], Callable[[], Any]], size: Size) -> dict[str, Any]:
    """Time, kernels and peak memory of a step."""
    is_cuda = torch.cuda.is_available()
    if is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    step = new()
    for _ in range(NUM_WARMUP + 2):
        step()
    memory = torch.cuda.max_memory_allocated() / 2**20 if is_cuda else None
    return {
        "ms": round(1000 * seconds_of(step, size.seconds), 4),
        "kernels": kernels_of(step),
        "peak_mib": memory and round(memory, 1),
    }


def seconds_of(step: Callable[[], Any], least: float) -> float:
    """The seconds of a step: the median of five rounds of many."""
    wait()
    start = time.perf_counter()
    step()
    wait()
    number = max(1, int(least / 5 / max(time.perf_counter() - start, 1e-5)))
    rounds = []
    for _ in range(5 if least else 1):
        start = time.perf_counter()
        for _ in range(number):
            step()
        wait()
        rounds.append((time.perf_counter() - start) / number)
    return statistics.median(rounds)


def wait() -> None:
    """Until the GPU has nothing to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def kernels_of(step: Callable[[], Any]) -> int:
    """The kernels of a step on a GPU; on a CPU its operations."""
    is_cuda = torch.cuda.is_available()
    activities = [ProfilerActivity.CUDA] if is_cuda else [ProfilerActivity.CPU]
    with profile(activities=activities) as record:
        step()
        wait()
    names = [event.name for event in record.events() or ()]
    if is_cuda:
        events = [event for event in record.events() or () if "CUDA" in str(event.device_type)]
        names = [event.name for event in events]
        return sum(not name.startswith(("Memcpy", "Memset")) for name in names)
    return sum(name.startswith("aten::") for name in names)


# The authors' code


def published_step(checkout: Path, device: torch.device) -> Callable[..., Any]:
    """A step of the published code, with labels or without."""
    sys.path.insert(0, str(checkout))
    from models.semisup_vae import SSVAE_CCVAE
    from pyro.infer import SVI, Trace_ELBO
    from pyro.optim import Adam
    from utils.custom_loss import TraceCCVAE_ELBO

    pyro.clear_param_store()
    vae = SSVAE_CCVAE(
        num_classes=NUM_LABELS,
        im_shape=(3, 64, 64),
        z_dim=45,
        prior_fn=lambda: torch.full((1, NUM_LABELS), 0.5),
        use_cuda=device.type == "cuda",
        class_name_fn=str,
    )
    adam = Adam({"lr": 1e-4, "betas": (0.9, 0.999)})
    labeled = SVI(vae.model, vae.guide, adam, loss=TraceCCVAE_ELBO(vae))
    unlabeled = SVI(vae.model, vae.guide, adam, loss=Trace_ELBO())

    def step(xs: torch.Tensor, ys: torch.Tensor | None = None) -> Any:
        return unlabeled.step(xs=xs) if ys is None else labeled.step(xs=xs, ys=ys)

    return step


def published_steps(checkout: Path | None, device: torch.device, size: Size) -> dict[str, Any]:
    """Its steps, in float32 as published."""
    if checkout is None:
        return {"skipped": "no checkout was given: --published DIR"}
    step, rows = published_step(checkout, device), []
    for batch_size in size.batch_sizes:
        setting = Setting(batch_size=batch_size, device=device)
        x = images(setting).contiguous()
        y = torch.randint(2, (batch_size, NUM_LABELS), device=device).float()
        for what, batch in {"labeled": (x, y), "unlabeled": (x,)}.items():
            row = {"precision": "float32", "images": batch_size, "what": what, "way": "published"}
            rows.append(row | measure(lambda batch=batch: lambda: step(*batch), size))
    return {"rows": rows}


# Whether both ways train alike


def losses(device: torch.device, size: Size) -> dict[str, Any]:
    """The mean loss of the last quarter of some steps by each way, and its spread."""
    result: dict[str, Any] = {}
    setting = Setting(batch_size=min(50, size.num_images), device=device)
    for name, objective in OBJECTIVES.items():
        for way in ways(device):
            pyro.set_rng_seed(0)
            pyro.clear_param_store()
            graph = "on" if way == "captured" else "off"
            step = make_step(*new_svi(objective(), setting), cuda_graph=graph)
            generator = torch.Generator(device).manual_seed(0)
            shape = (setting.batch_size, NUM_LABELS)
            y = torch.randint(2, shape, generator=generator, device=device).float()
            x = torch.rand(setting.batch_size, 3, 64, 64, generator=generator, device=device)
            found = torch.tensor([float(step(x, y)) for _ in range(size.num_losses)])
            last = found[-(-3 * len(found) // 4) :]
            result[f"{name}, {way}"] = {"loss": float(last.mean()), "std": float(last.std())}
    return result


# An epoch of CelebA's size


def epochs(checkout: Path | None, device: torch.device, size: Size) -> dict[str, Any]:
    """Seconds of an epoch of random images by each way; the images are on the device."""
    rng = np.random.default_rng(0)
    shape = (size.num_images, 64, 64, 3)
    pixels = np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape)
    labels = rng.integers(2, size=(size.num_images, NUM_LABELS)).astype(np.float32)
    types = binaries([f"label {i}" for i in range(NUM_LABELS)])
    data = LabeledImages(pixels, labels, types, {"train": np.arange(size.num_images)})
    batches = Batches(data, min(BATCH, size.num_images), device=device, resident=True)
    start = time.perf_counter()
    next(batches.epoch(1))
    wait()
    rows = [{"what": "images to the device", "seconds": round(time.perf_counter() - start, 2)}]
    for name in ("CCVAE_ELBO", "ExactCCVAE_ELBO"):
        for precision, dtype in PRECISIONS.items():
            for way in ways(device):
                pyro.clear_param_store()
                setting = Setting(batch_size=batches.batch_size, device=device, precision=dtype)
                svi = new_svi(OBJECTIVES[name](), setting)
                is_captured = way == "captured"
                received = batches.received if is_captured else None
                step = make_step(
                    *svi, cuda_graph="on" if is_captured else "off", received=received
                )
                source = batches.sent if is_captured else batches.epoch
                row = {"what": name, "precision": precision, "way": way}
                rows.append(row | {"seconds": epoch_of(step, source, len(batches))})
    if checkout is not None:
        step = published_step(checkout, device)
        seconds = epoch_of(step, batches.epoch, len(batches), at_most=100)
        rows.append({"what": "published", "precision": "float32", "seconds": seconds})
    return {"num_images": size.num_images, "batch_size": batches.batch_size, "rows": rows}


def epoch_of(
    step: Callable[..., Any], source: Callable[..., Any], num_steps: int, at_most: int = 10**9
) -> float:
    """The seconds of an epoch, after some steps of another.

    :param at_most: the number of steps after which the rest is in proportion.
    """
    for _, inputs in zip(range(NUM_WARMUP + 2), source(1), strict=False):
        step(*inputs)
    wait()
    start, taken = time.perf_counter(), 0
    with pyro.validation_enabled(False):
        for inputs in source(2):
            step(*inputs)
            taken += 1
            if taken == at_most:
                break
    wait()
    return round((time.perf_counter() - start) * num_steps / taken, 3)


# From images to metrics


def avatars(device: torch.device, size: Size) -> dict[str, Any]:
    """A run of the example on avatars, with its metrics."""
    missing = [name for name in ("dicebear", "resvg_py") if find_spec(name) is None]
    if missing:
        return {"skipped": f"{', '.join(missing)} is not installed: there are no avatars"}
    with tempfile.TemporaryDirectory() as folder:
        out, root = Path(folder) / "run", Path(folder) / "data"
        command = [sys.executable, str(ROOT / "examples" / "celeba.py"), "--data", "avatars"]
        command += ["--root", str(root), "--out", str(out), "--device", device.type, *size.avatars]
        environment = os.environ | {
            "PYTHONPATH": str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", "")
        }
        start = time.perf_counter()
        finished = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
        seconds = round(time.perf_counter() - start, 1)
        if finished.returncode:
            return {"error": (finished.stderr.strip().splitlines() or ["it failed"])[-1]}
        with (out / "history.csv").open() as file:
            history = list(csv.DictReader(file))
        metrics = json.loads((out / "metrics.json").read_text())
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    in_steps = round(sum(float(record["seconds"]) for record in history), 2)
    return {"seconds": seconds, "seconds_in_steps": in_steps, "metrics": numbers}


def show(name: str, found: dict[str, Any]) -> None:
    """Prints a result, rows as a table."""
    print(f"\n## {name}\n")
    if "error" in found:
        print(f"failed: {found['error']}")
    rows = found.get("rows", [])
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if rows:
        print("| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", sep="\n")
    for row in rows:
        cells = ["" if row.get(column) is None else str(row[column]) for column in columns]
        print("| " + " | ".join(cells) + " |")
    rest = {key: value for key, value in found.items() if key not in ("rows", "error")}
    if rest:
        print(json.dumps(rest, indent=2))


if __name__ == "__main__":
    sys.exit(main())
