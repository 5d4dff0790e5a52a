"""Builds the explorer, a folder of static files that runs a trained model in the browser.

    python docs/explorer/build.py [CHECKPOINT] [OUT] [--images FOLDER]

By default it uses the pretrained model and avatars that were not in its training set, and writes
to ``build/explorer``. For another model, pass a FOLDER with images; the first twelve by name are
used. The networks run in the browser with onnxruntime-web, which npm downloads once. Afterwards:

    python -m http.server --directory build/explorer
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ccvae_pyro
from ccvae_pyro.data import Preprocessing, load_avatars, read_image
from ccvae_pyro.io import export_onnx
from ccvae_pyro.models.base import ImageModel

HERE = Path(__file__).parent
PAGE = sorted(path for path in HERE.iterdir() if path.suffix in (".html", ".css", ".js"))
# The build of the runtime for WebAssembly only. Not all servers know the type of .mjs files.
RUNTIME = {"ort.js": "ort.wasm.bundle.min.mjs", "ort.wasm": "ort-wasm-simd-threaded.wasm"}
NUM_FACES = 12
AVATARS = (100, 50, 75, 103, 10, 64, 82, 93, 11, 35, 88, 12)


def build(
    model: ImageModel, out: Path | str, faces: Tensor, home: str | None = "../explorer.html"
) -> None:
    """Writes the explorer of a model.

    :param model: a model of square images that :func:`~ccvae_pyro.io.export_onnx` accepts.
    :param out: the folder to write to; created if it does not exist.
    :param faces: images to choose from, shape ``(num, channels, size, size)``.
    :param home: the target of the link back to the documentation, if any.
    :raises ValueError: if the model cannot be exported, or the shape of the images differs.
    :raises RuntimeError: if the runtime is missing and npm is not installed.
    """
    out = Path(out)
    runtime = fetched_runtime()
    export_onnx(model, out)
    shape = json.loads((out / "model.json").read_text())["image"]
    if list(faces.shape[1:]) != shape or len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"the model expects images of shape {shape}, got {list(faces.shape[1:])}")
    for path in PAGE:
        shutil.copyfile(path, out / path.name)
    for name, source in RUNTIME.items():
        shutil.copyfile(runtime / source, out / name)
    pixels = (faces.clamp(0, 1) * 255).round().byte().permute(2, 0, 3, 1)  # rows, faces, columns
    sprite = pixels.flatten(1, 2).expand(-1, -1, 3).numpy()
    Image.fromarray(np.ascontiguousarray(sprite)).save(out / "faces.png", optimize=True)
    measured = ("ort.wasm", "encoder.onnx", "decoder.onnx")
    size = sum((out / name).stat().st_size for name in measured)
    page = {"faces": len(faces), "home": home, "bytes": size}
    (out / "page.json").write_text(json.dumps(page))


def avatar_faces(root: Path | str = "data") -> Tensor:
    """Twelve varied avatars that were not in the training set of the pretrained model.

    :param root: the folder for avatars, which are drawn on first use.
    """
    x, _ = load_avatars(root, 120).batch(np.array(AVATARS))
    return x


def fetched_runtime() -> Path:
    """The folder of the runtime's files, which npm downloads if they are missing.

    :raises RuntimeError: if the download fails.
    """
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    package = HERE / "node_modules" / "onnxruntime-web"
    found = package / "package.json"
    if found.is_file() and json.loads(found.read_text())["version"] == wanted:
        return package / "dist"
    if (npm := shutil.which("npm")) is None:
        raise RuntimeError("npm, which downloads the runtime of the explorer, is not installed")
    result = subprocess.run([npm, "install"], cwd=HERE, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(
            f"npm cannot download the runtime of the explorer: {result.stderr.strip()}"
        )
    return package / "dist"


def faces_of(folder: Path, model: ImageModel) -> Tensor:
    """The first twelve images of a folder, resized for the model.

    :raises ValueError: if there are none.
    """
    known = Image.registered_extensions()
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in known)
    if not paths:
        raise ValueError(f"there is no image in {folder}")
    preprocessing = preprocessing_of(model)
    return torch.cat([read_image(path, preprocessing) for path in paths[:NUM_FACES]])


def preprocessing_of(model: ImageModel) -> Preprocessing:
    """How images are prepared for a model; a checkpoint before version 0.2 does not say so."""
    if model.preprocessing is not None:
        return model.preprocessing
    z = torch.zeros(1, sum(model.encoder.block_dims))
    channels, size, _ = model.decoder(z).mean.shape[1:]
    return Preprocessing(size, channels)


def main(arguments: list[str] | None = None) -> None:
    """Builds the explorer that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", type=Path, help="a checkpoint of your own model")
    parser.add_argument(
        "out", nargs="?", type=Path, default=Path("build/explorer"), help="the folder to write to"
    )
    parser.add_argument("--images", type=Path, help="a folder of images to choose from")
    parser.add_argument("--root", type=Path, default=Path("data"), help="the folder for avatars")
    args = parser.parse_args(arguments)
    load = ccvae_pyro.load if args.checkpoint else ccvae_pyro.load_pretrained
    try:
        model = load(args.checkpoint or "avatars")
        faces = faces_of(args.images, model) if args.images else avatar_faces(args.root)
        build(model, args.out, faces, home=None)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        parser.error(str(error))  # the user can correct it
    print(f"python -m http.server --directory {args.out}")


if __name__ == "__main__":
    main()
