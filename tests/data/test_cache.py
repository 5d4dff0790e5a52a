"""The cache of decoded images."""

import os

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data import cache, load_avatars, load_image_csv, load_image_folder


@pytest.fixture
def root(tmp_path):
    """Six images of one shade each, and their labels."""
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(6):
        Image.new("L", (9, 9), 10 * i).save(root / f"{i}.png")
    (root / "labels.csv").write_text("file,x\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(6)))
    return root


def load(root, **options):
    return load_image_csv(root, root / "labels.csv", size=4, **options)


def shades(data):
    return data.images[:, 0, 0, 0].tolist()


def cached(root):
    return sorted(path.name for path in (root / "ccvae_cache").iterdir())


def forbid_decoding(monkeypatch):
    monkeypatch.setattr(cache, "decode_into", None)


def test_a_write_that_fails_halfway_leaves_no_file(tmp_path):
    def images():
        yield np.zeros((2, 2, 3), dtype=np.uint8)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.write_images(tmp_path / "images.npy", images(), (3, 2, 2, 3))
    assert list(tmp_path.iterdir()) == []


def test_a_cache_without_its_arrays_is_incomplete(tmp_path):
    path, images = tmp_path / "a.npy", np.zeros((1, 2, 2, 3), np.uint8)
    cache.write_images(path, (image for image in images), images.shape)
    assert cache.read_arrays(path, images.shape, ["is_readable"]) is None
    cache.write_arrays(path, is_readable=[True])
    assert cache.read_arrays(path, images.shape, ["is_readable"])[1]["is_readable"].all()
    # A writer that is killed after the images of a second cache leaves no pair that goes together.
    cache.write_images(path, (image for image in images), images.shape)
    assert cache.read_arrays(path, images.shape, ["is_readable"]) is None


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def clear(path):
    path.write_bytes(b"")


def replace_by_text(path):
    path.write_text("no cache")


def replace_by_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 3)))


def replace_by_arrays(path):
    with path.open("wb") as file:
        np.savez(file, other=np.zeros(3))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(
    "spoil", [cut, clear, replace_by_text, replace_by_array, replace_by_arrays]
)
def test_a_damaged_cache_is_made_anew_with_a_line(root, capsys, spoil, suffix):
    load(root)
    (path,) = (root / "ccvae_cache").glob(f"*.{suffix}")
    before = cached(root)
    spoil(path)
    capsys.readouterr()
    assert shades(load(root)) == [0, 10, 20, 30, 40, 50]
    assert "is damaged and made anew" in capsys.readouterr().out
    assert cached(root) == before
    load(root)
    assert capsys.readouterr().out == ""


def test_a_damaged_cache_of_avatars_is_drawn_again(tmp_path, capsys):
    drawn = np.array(load_avatars(tmp_path, 6, size=16).images)
    (path,) = tmp_path.glob("*.npy")
    cut(path)
    assert np.array_equal(load_avatars(tmp_path, 6, size=16).images, drawn)
    assert "is damaged and made anew" in capsys.readouterr().out


def test_a_replaced_image_is_noticed(root, capsys, monkeypatch):
    load(root)
    num_files = len(cached(root))
    Image.new("L", (9, 9), 200).save(root / "3.png")
    os.utime(root / "3.png", ns=(0, 0))
    assert shades(load(root)) == [0, 10, 20, 200, 40, 50]
    assert "have changed since they were cached" in capsys.readouterr().out
    assert len(cached(root)) == num_files  # the cache of the former images is removed
    forbid_decoding(monkeypatch)
    assert shades(load(root)) == [0, 10, 20, 200, 40, 50]


def test_what_is_left_out_is_said_at_each_run_and_taken_in_once_it_is_repaired(root, capsys):
    image = (root / "3.png").read_bytes()
    (root / "3.png").write_bytes(image[:40])
    for _ in range(2):
        data = load(root, skip_unreadable=True)
        assert f"left out 1 of 6 images that cannot be read, such as {root / '3.png'}" in (
            capsys.readouterr().out
        )
        assert 3 not in np.concatenate(list(data.splits.values()))
    (root / "3.png").write_bytes(image)
    data = load(root, skip_unreadable=True)
    assert shades(data) == [0, 10, 20, 30, 40, 50]
    assert "left out" not in capsys.readouterr().out


def test_an_image_is_taken_in_where_only_its_permission_changed(root, monkeypatch):
    decode = cache.decode_image

    def refuse(path, *arguments):
        if path.name == "3.png":
            raise ValueError(f"{path} cannot be read as an image (Permission denied)")
        return decode(path, *arguments)

    monkeypatch.setattr(cache, "decode_image", refuse)
    assert shades(load(root, skip_unreadable=True))[3] == 0
    monkeypatch.setattr(cache, "decode_image", decode)
    assert shades(load(root, skip_unreadable=True))[3] == 30


def test_an_unreadable_image_is_an_error_again_without_the_option(root):
    (root / "3.png").write_text("no image")
    load(root, skip_unreadable=True)
    with pytest.raises(ValueError, match=r"3\.png cannot be read as an image"):
        load(root)


def test_none_readable_says_why(root):
    for path in root.glob("*.png"):
        path.write_text("no image")
    with pytest.raises(ValueError, match=r"none of 6 images .*\.png .*its format is unknown"):
        load(root, skip_unreadable=True)


def test_the_cache_can_be_elsewhere(root, tmp_path, monkeypatch):
    data = load(root, cache=tmp_path / "cache")
    assert not (root / "ccvae_cache").exists()
    other = tmp_path / "other" / "photos"
    other.parent.mkdir()
    root.rename(other)
    load(other, cache=tmp_path / "cache")  # a folder of the same name has a cache of its own
    assert len(list((tmp_path / "cache").iterdir())) == 2
    forbid_decoding(monkeypatch)
    assert shades(load(other, cache=tmp_path / "cache")) == shades(data)


def test_a_folder_that_cannot_be_written_is_cached_in_the_folder_of_the_user(
    root, tmp_path, monkeypatch
):
    def is_writable(folder):
        return root not in (folder, *folder.parents)

    monkeypatch.setattr(cache, "is_writable", is_writable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert shades(load(root)) == [0, 10, 20, 30, 40, 50]
    assert not (root / "ccvae_cache").exists()
    assert len(list((tmp_path / "xdg" / "ccvae_pyro").glob("photos-*/*.npy"))) == 1
    load_avatars(root, 6, size=16)
    assert len(list((tmp_path / "xdg" / "ccvae_pyro").glob("avatars-*.npy"))) == 1
    forbid_decoding(monkeypatch)
    load(root)


def test_a_complete_cache_is_used_even_if_its_folder_cannot_be_written(root, monkeypatch):
    load(root)
    monkeypatch.setattr(cache, "is_writable", lambda folder: False)
    forbid_decoding(monkeypatch)
    assert shades(load(root)) == [0, 10, 20, 30, 40, 50]


def test_no_place_for_the_cache_is_one_line(root, monkeypatch):
    monkeypatch.setattr(cache, "is_writable", lambda folder: False)
    with pytest.raises(OSError, match=r"cannot be written to .*, nor can .*pass another folder"):
        load(root)
    with pytest.raises(OSError, match=r"cannot be written to .*: pass another folder as cache"):
        load(root, cache=root / "mine")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_permissions_are_found_out(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    assert not cache.is_writable(tmp_path / "closed" / "cache")
    assert cache.is_writable(tmp_path / "open" / "cache")


def test_the_folder_of_the_user_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache.user_cache_folder() == tmp_path / ".cache" / "ccvae_pyro"


def test_class_folders_have_a_cache_elsewhere_too(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (9, 9), i).save(tmp_path / "images" / name / f"{i}.png")
    load_image_folder(tmp_path / "images", size=4, cache=tmp_path / "cache")
    assert not (tmp_path / "images" / "ccvae_cache").exists()


def test_decoding_goes_on_where_it_was_stopped(root, monkeypatch, capsys):
    """Also where an image is black, or could not be read: both are tried again."""
    write, rows = cache._BegunArray.write, []
    (root / "2.png").write_text("no image")

    def stop(self, row, image):
        if row == 4:
            raise KeyboardInterrupt
        write(self, row, image)

    def record(self, row, image):
        rows.append(row)
        write(self, row, image)

    monkeypatch.setattr(cache._BegunArray, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        load(root, skip_unreadable=True)
    (partial,) = cached(root)
    assert partial.endswith(".partial")
    monkeypatch.setattr(cache._BegunArray, "write", record)
    data = load(root, skip_unreadable=True)
    assert rows == [0, 2, 4, 5]
    assert "decoding goes on after 2 of 6 images" in capsys.readouterr().out
    assert shades(data) == [0, 10, 0, 30, 40, 50]
    assert 2 not in np.concatenate(list(data.splits.values()))
    assert not any(name.endswith(".partial") for name in cached(root))


def test_what_was_begun_of_images_that_changed_is_removed(root, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(cache._BegunArray, "write", press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            load(root)
    Image.new("L", (9, 9), 200).save(root / "3.png")
    os.utime(root / "3.png", ns=(0, 0))
    assert shades(load(root)) == [0, 10, 20, 200, 40, 50]
    assert len(cached(root)) == 2


def press_ctrl_c(*arguments):
    raise KeyboardInterrupt
