"""The README's program runs; the docs' own snippets are doctests."""

import functools
import re
from pathlib import Path

import torch

from ccvae_pyro import data

README = Path(__file__).parent.parent / "README.md"


def test_the_programs_in_the_readme_run(tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    trained, training = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    names = {}
    exec(trained.replace("1_000", "20"), names)
    assert names["with_hats"].shape == names["x"].shape
    assert (tmp_path / "hats.png").stat().st_size > 0
    assert "range(1, 16)" in training
    monkeypatch.setattr(data, "load_avatars", functools.partial(data.load_avatars, num_images=240))
    exec(training.replace("range(1, 16)", "range(1, 2)"), names := {})
    assert names["with_sunglasses"].shape == names["x"].shape


def test_snippets_are_shown_as_code():
    for page in (README.parent / "docs").glob("*.md"):
        outside = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        # At the start of a line it would be three quotations, one in another.
        assert not re.search(r"^>>>", outside, flags=re.M), page.name


def test_every_picture_and_file_that_the_readme_names_is_there():
    text = README.read_text()
    named = re.findall(r"\]\(((?!http)[^)]+)\)", text) + re.findall(r"`([A-Z]\w+\.\w+)`", text)
    assert [name for name in named if not (README.parent / name).exists()] == []
