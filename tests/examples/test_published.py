"""published.py: a checkpoint of the authors' files, which the other examples take."""

import importlib
import sys

import numpy as np
import pytest
import torch
from helpers import EXAMPLES, run_example
from PIL import Image
from published_modules import make_modules, write

import ccvae_pyro
from ccvae_pyro.data import PAPER_ATTRIBUTES

FIGURES = {"faces", "samples", "edits", "interpolations", "walk", "walk_2d", "variations", "swaps"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of the authors' format, of a model that was not trained."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    return write(tmp_path_factory.mktemp("files"), make_modules("demo"))


@pytest.fixture(scope="module")
def celeba(tmp_path_factory):
    """Ten images of noise in CelebA's layout, with the paper's attributes."""
    root, rng = tmp_path_factory.mktemp("celeba"), np.random.default_rng(0)
    (root / "img_align_celeba").mkdir()
    lines = ["10", " ".join(PAPER_ATTRIBUTES)]
    for i in range(1, 11):
        pixels = rng.integers(256, size=(109, 89, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "img_align_celeba" / f"{i:06}.jpg")
        lines.append(" ".join([f"{i:06}.jpg", *map(str, rng.choice([-1, 1], 18))]))
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def finished(files, celeba, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "published"
    images = celeba / "img_align_celeba"
    result = run_example("published.py", files, "--out", out, "--images", images)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return out


def test_it_writes_a_checkpoint_and_a_page_of_figures(finished, files):
    assert {path.stem for path in (finished / "figures").glob("*.png")} == FIGURES
    page = (finished / "report.html").read_text()
    assert page.count("<figure>") == len(FIGURES)
    assert page.index("Four attributes") < page.index("Generated images")
    ccvae, loaded = ccvae_pyro.load(finished), ccvae_pyro.load_published(files)
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(ccvae_pyro.reconstruct(ccvae, x), ccvae_pyro.reconstruct(loaded, x))


def test_the_checkpoint_is_taken_by_edit(finished, celeba, tmp_path):
    image = celeba / "img_align_celeba" / "000001.jpg"
    out = ["--out", tmp_path / "edited.png"]
    result = run_example("edit.py", finished, image, "--set", "Eyeglasses=1", *out)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "edited.png").stat().st_size > 0


def test_measure_takes_the_images_of_its_labels(finished, celeba, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    measure, outcome = map(importlib.import_module, ("measure", "outcome"))
    data = measure.load_data(outcome.read_config(finished), celeba)
    assert data.label_names == ccvae_pyro.load(finished).label_names
    assert data.preprocessing == ccvae_pyro.load(finished).preprocessing


def test_without_images_faces_are_sampled_and_another_run_is_kept(finished, files, tmp_path):
    result = run_example("published.py", files, "--out", finished)
    assert result.returncode == 2
    assert f"{finished} holds a run" in result.stderr
    out = tmp_path / "run"
    out.mkdir()
    (out / "best.pt").write_bytes(b"the best model of another run, which would be loaded")
    result = run_example("published.py", files, "--out", out, "--overwrite")
    assert result.returncode == 0, result.stderr
    assert {path.stem for path in (out / "figures").glob("*.png")} == FIGURES
    assert {path.name for path in out.iterdir()} == {"checkpoint.pt", "figures", "report.html"}


@pytest.mark.skipif(sys.platform == "win32", reason="touch is a command of Unix")
def test_a_file_with_a_command_is_one_line_and_nothing_is_written(tmp_path):
    write(tmp_path, make_modules("demo"))
    command = f"touch {tmp_path / 'ran'}"
    (tmp_path / "decoder.pt").write_bytes(f"cos\nsystem\n(S'{command}'\ntR.".encode())
    result = run_example("published.py", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 2
    file, wanted = (
        tmp_path / "decoder.pt",
        "it refers to os.system, no layer or tensor that is known",
    )
    assert result.stderr.splitlines() == [
        f"published.py: error: {file} is refused, and nothing of it was run: {wanted}"
    ]
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_a_folder_without_files_is_one_line(tmp_path):
    result = run_example("published.py", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert f"{tmp_path} has no model of the paper's authors" in line
