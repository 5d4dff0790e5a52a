"""Checkpoints that were damaged or made up: the right model or one CheckpointError, never another.

Each case is drawn from a seed.
"""

import io
import random
import zipfile

import pytest
import torch
from helpers import assert_same_states

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, CheckpointError, Continuous, models
from ccvae_pyro.io import checkpoint

LABELS = (
    Binary("Hat", 0.2, extra_dims=1),
    Categorical("Hair", ("red", "gray", "black"), (0.2, 0.3, 0.5)),
    Continuous("Age", 40.0, 12.0),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model, and the bytes of its checkpoint."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    model = models.baseline("vae", LABELS, 3, images="mlp")
    path = tmp_path_factory.mktemp("saved") / "a.pt"
    ccvae_pyro.save(path, model, epoch=3, history=[{"loss": 1.5}])
    return model, path.read_bytes()


def loaded_or_none(path):
    """The model of a checkpoint, or None if it is refused in one line."""
    try:
        return ccvae_pyro.load(path)
    except CheckpointError as error:
        message = str(error)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    return None


def flip_bit(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def flip_bit_of_directory(data, rng):
    start = data.rindex(b"PK\x01\x02") - 400
    return data[:start] + flip_bit(data[start:], rng)


def zero_block(data, rng):
    size = rng.choice((16, 512, 4096))
    place = rng.randrange(len(data) - size)
    return data[:place] + bytes(size) + data[place + size :]


def truncate(data, rng):
    return data[: rng.randrange(len(data))]


def repeat_block(data, rng):
    place, other = rng.randrange(len(data) - 4096), rng.randrange(len(data) - 4096)
    return data[:place] + data[other : other + 4096] + data[place + 4096 :]


def delete_bytes(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.randrange(1, 100) :]


def write_noise(data, rng):
    return rng.choice((b"", b"PK\x03\x04", b"\x80\x02", b"\x1f\x8b")) + rng.randbytes(3000)


DAMAGES = (
    flip_bit, flip_bit_of_directory, zero_block, truncate, repeat_block, delete_bytes, write_noise
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gives_the_model_that_was_saved_or_an_error(saved, tmp_path, damage):
    model, data = saved
    path, num_refused = tmp_path / "a.pt", 0
    for seed in range(40):
        path.write_bytes(damage(data, random.Random(seed)))
        if (loaded := loaded_or_none(path)) is None:
            num_refused += 1
        else:
            assert loaded.labels == model.labels
            assert_same_states(loaded.state_dict(), model.state_dict())
    assert num_refused >= 10


def with_pickle(data, pickled):
    """The same file with another pickle, whose checksum is right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            is_pickle = name.endswith("data.pkl")
            target.writestr(name, pickled if is_pickle else source.read(name))
    return out.getvalue()


@pytest.mark.filterwarnings("ignore")  # of torch, about the pickles
def test_a_made_up_pickle_gives_a_model_or_an_error(saved, tmp_path):
    _, data = saved
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        pickled = file.read(next(name for name in file.namelist() if name.endswith("data.pkl")))
    path, num_refused = tmp_path / "a.pt", 0
    for seed in range(150):
        rng = random.Random(seed)
        path.write_bytes(with_pickle(data, rng.choice((flip_bit, delete_bytes))(pickled, rng)))
        num_refused += loaded_or_none(path) is None
    assert num_refused >= 50


WRONG = (
    3, -1, 0, 10**9, 10**30, 2.5, float("nan"), None, "x", b"x", (), [], [None], {}, {"x": 1},
    torch.ones(2), True, [{"kind": "binary"}], [{"kind": "?", "name": "a"}],
    [{"kind": "binary", "name": "a", "extra_dims": 10**9}],
    [{"kind": "categorical", "name": "a", "classes": ["b"]}],
    [{"kind": "categorical", "name": "a", "classes": 5}],
)  # fmt: skip


def mistype(contents, rng):
    """Replaces or removes one value at any depth."""
    while True:
        key = rng.choice(list(contents) if isinstance(contents, dict) else range(len(contents)))
        if isinstance(contents[key], dict | list) and contents[key] and rng.random() < 0.7:
            contents = contents[key]
            continue
        if rng.random() < 0.2:
            del contents[key]
        else:
            contents[key] = rng.choice(WRONG)
        return


def test_a_missing_or_mistyped_entry_gives_the_tensors_of_the_file_or_an_error(saved, tmp_path):
    model, data = saved
    path, num_refused = tmp_path / "a.pt", 0
    for seed in range(100):
        contents = torch.load(io.BytesIO(data), weights_only=True)
        contents["config"]["labels"] = [dict(label) for label in contents["config"]["labels"]]
        mistype(contents, random.Random(seed))
        torch.save(contents, path)
        if (loaded := loaded_or_none(path)) is None:
            num_refused += 1
        else:
            assert_same_states(loaded.state_dict(), model.state_dict())
    assert num_refused >= 30


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("model", None, "`model` is missing"),
        ("model", 3, "`model` is no dict of tensors"),
        ("model", {"weight": 3}, "`model` has no tensor as weight"),
        ("model", {"weight": torch.ones(2, device="meta")}, "`model` has no tensor as weight"),
        ("config", 3, "`config` is a int, wanted a dict"),
        ("config", {"preset": "vae"}, "`config.labels` is missing, or no list of labels"),
        ("config", {"preset": "vae", "labels": [3]}, "`config.labels` is missing, or no list"),
        ("labels", 3, "`labels` is missing, or no list of labels"),
        ("labels", [{"name": "Hat"}], "it has 1 labels, the model 3"),
        ("config", None, "has no config of a preset of this version: pass the model"),
    ],
)
def test_the_entry_that_is_missing_or_mistyped_is_named(saved, tmp_path, entry, value, message):
    contents = torch.load(io.BytesIO(saved[1]), weights_only=True)
    contents[entry] = value
    if value is None:
        del contents[entry]
    torch.save(contents, tmp_path / "a.pt")
    with pytest.raises(CheckpointError) as caught:
        ccvae_pyro.load(tmp_path / "a.pt")
    assert message in str(caught.value)


LARGE = {
    "z_dim": {"z_dim": 10**9},
    "beyond 64 bits": {"z_dim": 10**30},
    "channels": {"channels": 10**9, "images": "celeba"},
    "extra dims": {
        "preset": "mnist",
        "z_dim": 10**9,
        "labels": [{"kind": "binary", "name": "a", "extra_dims": 10**8}],
    },
    "classes": {
        "preset": "m2",
        "labels": [
            {"kind": "categorical", "name": "a", "classes": [str(i) for i in range(10**5)]}
        ],
    },
}


@pytest.mark.parametrize("change", LARGE.values(), ids=LARGE)
def test_sizes_that_the_tensors_do_not_have_take_no_memory(saved, tmp_path, change, monkeypatch):
    contents = torch.load(io.BytesIO(saved[1]), weights_only=True)
    contents["config"] |= change
    del contents["labels"]
    torch.save(contents, tmp_path / "a.pt")
    built = []
    monkeypatch.setattr(checkpoint, "from_config", built.append)
    with pytest.raises(CheckpointError):
        ccvae_pyro.load(tmp_path / "a.pt")
    assert built == []


def test_tensors_without_memory_of_their_own_are_no_evidence_of_a_size(saved, tmp_path):
    contents = torch.load(io.BytesIO(saved[1]), weights_only=True)
    contents["config"]["z_dim"] = 10**9
    contents["model"] = {
        name: torch.zeros(1).expand(value.shape)
        for name, value in checkpoint.outline(contents["config"]).state_dict().items()
    }
    torch.save(contents, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 1e5
    with pytest.raises(CheckpointError, match="belongs to another model: Missing key"):
        ccvae_pyro.load(tmp_path / "a.pt")


def test_compressed_entries_are_refused(saved, tmp_path):
    with zipfile.ZipFile(io.BytesIO(saved[1])) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for name, contents in entries.items():
            target.writestr(name, contents)
    with pytest.raises(CheckpointError, match="truncated, or no checkpoint"):
        ccvae_pyro.load(tmp_path / "a.pt")


def test_a_file_without_checksums_is_refused(saved, tmp_path):
    contents = torch.load(io.BytesIO(saved[1]), weights_only=True)
    torch.save(contents, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="truncated, or no checkpoint"):
        ccvae_pyro.load(tmp_path / "a.pt")
