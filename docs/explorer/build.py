"""Builds the explorer: a folder of static files in which one moves a trained model by hand.

    python docs/explorer/build.py [CHECKPOINT] [OUT] [--images FOLDER]

By default it is that of the model that comes trained, with avatars that it has not seen, in
``build/explorer``. Another model comes with images of its own: a dozen of FOLDER, by their names.
The networks run in the browser, by onnxruntime-web, which npm fetches once. Afterwards:

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
from ccvae_pyro.data import load_avatars, read_image
from ccvae_pyro.io.onnx import export_onnx
from ccvae_pyro.models.base import ImageModel

HERE = Path(__file__).parent
PAGE = sorted(path for path in HERE.iterdir() if path.suffix in (".html", ".css", ".js"))
# The runtime's build for WebAssembly alone. Named .js, for not all servers know .mjs.
RUNTIME = {"ort.js": "ort.wasm.bundle.min.mjs", "ort.wasm": "ort-wasm-simd-threaded.wasm"}
NUM_FACES = 12
AVATARS = (100, 50, 75, 103, 10, 64, 82, 93, 11, 35, 88, 12)


def build(
    model: ImageModel, out: Path | str, faces: Tensor, home: str | None = "../explorer.html"
) -> None:
    """Writes the page of a model.

    :param model: what :func:`~ccvae_pyro.io.onnx.export_onnx` takes, of square images.
    :param out: the folder to write to; made if need be.
    :param faces: images to choose from, shape ``(num, channels, size, size)``.
    :param home: the page that a link leads back to, if any.
    :raises ValueError: if the model cannot be exported, or is of images of another shape.
    :raises RuntimeError: if the runtime is missing, and npm to fetch it too.
    """
    out = Path(out)
    runtime = fetched_runtime()
    export_onnx(model, out)
    shape = json.loads((out / "model.json").read_text())["image"]
    if list(faces.shape[1:]) != shape or len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"the model is of images {shape}, got faces {list(faces.shape[1:])}")
    for path in PAGE:
        shutil.copyfile(path, out / path.name)
    for name, source in RUNTIME.items():
        shutil.copyfile(runtime / source, out / name)
    pixels = (faces.clamp(0, 1) * 255).round().byte().permute(2, 0, 3, 1)  # rows, faces, columns
    sprite = pixels.flatten(1, 2).expand(-1, -1, 3).numpy()
    Image.fromarray(np.ascontiguousarray(sprite)).save(out / "faces.png", optimize=True)
    weighed = ("ort.wasm", "encoder.onnx", "decoder.onnx")
    size = sum((out / name).stat().st_size for name in weighed)
    page = {"faces": len(faces), "home": home, "bytes": size}
    (out / "page.json").write_text(json.dumps(page))


def avatar_faces(root: Path | str = "data") -> Tensor:
    """A dozen avatars of many kinds, which the model that comes trained has not seen.

    :param root: where they are drawn to on first use.
    """
    x, _ = load_avatars(root, 120).batch(np.array(AVATARS))
    return x


def fetched_runtime() -> Path:
    """The folder of the runtime's files, which npm fetches if need be.

    :raises RuntimeError: if it cannot.
    """
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    package = HERE / "node_modules" / "onnxruntime-web"
    found = package / "package.json"
    if found.is_file() and json.loads(found.read_text())["version"] == wanted:
        return package / "dist"
    if (npm := shutil.which("npm")) is None:
        raise RuntimeError("the explorer's runtime is fetched by npm, which is not installed")
    result = subprocess.run([npm, "install"], cwd=HERE, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"npm cannot fetch the explorer's runtime: {result.stderr.strip()}")
    return package / "dist"


def faces_of(folder: Path, model: ImageModel) -> Tensor:
    """A dozen images of a folder, as the model takes them.

    :raises ValueError: if there is none.
    """
    known = Image.registered_extensions()
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in known)
    if not paths:
        raise ValueError(f"there is no image in {folder}")
    z = torch.zeros(1, sum(model.encoder.block_dims))
    channels, size, _ = model.decoder(z).mean.shape[1:]
    return torch.cat([read_image(path, size, channels) for path in paths[:NUM_FACES]])


def main(arguments: list[str] | None = None) -> None:
    """Builds what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", type=Path, help="of a model of your own")
    parser.add_argument("out", nargs="?", type=Path, default=Path("build/explorer"))
    parser.add_argument("--images", type=Path, help="a folder of images to choose from")
    parser.add_argument("--root", type=Path, default=Path("data"), help="where avatars are kept")
    args = parser.parse_args(arguments)
    load = ccvae_pyro.load if args.checkpoint else ccvae_pyro.load_pretrained
    try:
        model = load(args.checkpoint or "avatars")
        faces = faces_of(args.images, model) if args.images else avatar_faces(args.root)
        build(model, args.out, faces, home=None)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        parser.error(str(error))  # something for the user to mend
    print(f"python -m http.server --directory {args.out}")


if __name__ == "__main__":
    main()
