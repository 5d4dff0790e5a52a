"""Decoding image files of any mode, orientation and depth, and refusing what is no image."""

import os
import socket
import struct
import sys
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from ccvae_pyro.data import Preprocessing, load_image_csv, read_image

SQUASH = Preprocessing(8)


def load(root, num, suffix="png", **options):
    """The images ``0.png`` to ``{num - 1}.png``, from the cache."""
    lines = [f"{i}.{suffix},{i % 2}" for i in range(num)]
    (root / "labels.csv").write_text("\n".join(["file,x", *lines]))
    return load_image_csv(root, root / "labels.csv", **{"size": 8, **options})


def solid(mode, value):
    return Image.new(mode, (12, 9), value)


def transparent():
    image = Image.new("RGBA", (12, 9), (200, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 6, 9))
    return image


def write_16_bit_png(path, values, color_type):
    """Writes 16-bit values, shape (height, width, bands): Pillow writes none in color."""
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows), b"IEND": b""}
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks.items()
        )
    )


def shades(*values):
    """An image of 16 bits with these values, a column each."""
    return np.repeat(np.array([values], dtype=np.uint16), 9, axis=0)


IMAGES = {
    "grey": (solid("L", 77), (1,), [77]),
    "one bit": (solid("1", 1), (1,), [255]),
    "grey over white": (solid("LA", (77, 0)), (1,), [255]),
    "color": (solid("RGB", (1, 2, 3)), (3,), [1, 2, 3]),
    "palette": (solid("RGB", (1, 2, 3)).quantize(2), (3,), [1, 2, 3]),
    "color over white": (transparent(), (3,), [255, 255, 255]),
}


@pytest.mark.parametrize(("image", "channels", "pixel"), IMAGES.values(), ids=IMAGES)
def test_images_of_any_mode_are_read(tmp_path, image, channels, pixel):
    for i in range(3):
        image.save(tmp_path / f"{i}.png")
    data = load(tmp_path, 3)
    assert data.images.shape[3:] == channels
    assert data.images[2, 4, 7].tolist() == pixel


def test_cmyk_is_read(tmp_path):
    for i, ink in enumerate([(0, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)]):
        solid("CMYK", ink).save(tmp_path / f"{i}.tif")
    pixels = load(tmp_path, 3, "tif").images[:, 4, 4]
    assert pixels.tolist() == [[255, 255, 255], [255, 0, 0], [0, 0, 0]]


def test_a_palette_may_have_a_transparent_color(tmp_path):
    image = transparent().quantize(4)
    image.save(tmp_path / "0.png", transparency=image.getpixel((11, 4)))
    left, right = load(tmp_path, 1, size=12).images[0, 4, [0, 11]]
    assert left.tolist() == [200, 0, 0]
    assert right.tolist() == [255, 255, 255]


# Orientation


UPRIGHT = np.zeros((6, 8, 3), np.uint8)
UPRIGHT[:3, :4] = (255, 0, 0)
UPRIGHT[:3, 4:] = (0, 255, 0)
UPRIGHT[3:, :4] = (0, 0, 255)
# How a camera stores an upright image whose EXIF says so.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT),
    7: np.rot90(UPRIGHT, 2).transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_images_are_turned_upright_everywhere(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]).repeat(4, 0).repeat(4, 1))
    stored.save(tmp_path / f"0.{suffix}", exif=exif, **options.get(suffix, {}))
    data = load(tmp_path, 1, suffix, size=24, resize="crop")
    centers = UPRIGHT[[0, 0, 5, 5], [0, 7, 0, 7]]
    shown = data.images[0][[5, 5, 18, 18], [5, 18, 5, 18]]
    assert abs(shown.astype(int) - centers).max() <= 3
    x = read_image(tmp_path / f"0.{suffix}", data.preprocessing)
    assert torch.equal(x, data.batch(np.array([0]))[0])


# The rule for images that are not square


def test_the_rule_for_images_that_are_not_square(tmp_path):
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    image.paste((0, 0, 0), (5, 0, 15, 10))
    image.save(tmp_path / "0.png")
    rows = {}
    for rule in ("squash", "crop", "pad"):
        data = load(tmp_path, 1, resize=rule, size=10)
        rows[rule] = data.images[0, :, :, 1]
        x = read_image(tmp_path / "0.png", data.preprocessing)
        assert data.preprocessing == Preprocessing(10, 3, rule)
        assert torch.equal(x, data.batch(np.array([0]))[0])
    red = load(tmp_path, 1, resize="squash", size=10).images[0, 5, :, 0]
    assert red.tolist()[::9] == [255, 255]
    assert red[5] == 0
    assert not rows["crop"].any()
    assert load(tmp_path, 1, resize="crop", size=10).images.max() == 0
    assert rows["pad"][[0, 9]].min() == 255
    assert rows["pad"][3:7].max() == 0


@pytest.mark.parametrize("options", [{"resize": "stretch"}, {"size": 0}, {"white": -1.0}])
def test_a_preprocessing_that_makes_no_sense_is_an_error(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Preprocessing(**options)


# Depth


@pytest.mark.parametrize(
    ("values", "white", "expected"),
    [
        ((0, 2048, 4095), 4095, [0, 128, 255]),  # 12 bits in 16
        ((0, 128, 255), 255, [0, 128, 255]),  # 8 bits in 16
        ((0, 77 * 257, 65535), 65535, [0, 77, 255]),
    ],
)
@pytest.mark.parametrize("color_type", [0, 2, 4, 6])
def test_16_bits_are_scaled_by_what_the_set_holds(
    tmp_path, capsys, values, white, expected, color_type
):
    grey = shades(*values)[..., None]
    alpha = np.full_like(grey, 65535)
    bands = {0: [grey], 2: [grey] * 3, 4: [grey, alpha], 6: [grey] * 3 + [alpha]}[color_type]
    write_16_bit_png(tmp_path / "0.png", np.concatenate(bands, axis=-1), color_type)
    dark = np.concatenate([band // 2 for band in bands[:3]], axis=-1)
    write_16_bit_png(tmp_path / "1.png", dark, {1: 0, 2: 4, 3: 2}[dark.shape[-1]])
    data = load(tmp_path, 2)
    assert data.images.shape[3] == (1 if color_type in (0, 4) else 3)
    assert data.preprocessing.white == white
    assert data.images[0, 4, [0, 3, 7], 0].tolist()[::2] == expected[::2]
    assert read_image(tmp_path / "0.png", Preprocessing(3, 1, "crop")).shape == (1, 1, 3, 3)
    middle = (255 * read_image(tmp_path / "0.png", data.preprocessing)[0, 0, 4, 3:5]).mean()
    assert abs(middle - expected[1]) < 12
    assert f"white is taken to be {white} in them" in capsys.readouterr().out
    for row in (0, 1):
        x = read_image(tmp_path / f"{row}.png", data.preprocessing)
        assert torch.equal(x, data.batch(np.array([row]))[0])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((9, 12), 1.0, np.float32), 255),
        (np.full((9, 12), 65535.0, np.float32), 255),
        (np.full((9, 12), 4095, np.int32), 255),
        (np.full((9, 12), 32768, np.int32), 128),
    ],
)
def test_tiffs_of_fractions_and_of_whole_numbers_are_scaled(tmp_path, array, expected):
    Image.fromarray(array).save(tmp_path / "0.tif")
    assert (load(tmp_path, 1, "tif").images == expected).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((9, 12), 9.0, np.float32), r"0\.tif has .* up to 9, which leaves open"),
        (np.full((9, 12), 10**6, np.int32), r"0\.tif has .* up to 1e\+06, which leaves open"),
        (np.zeros((9, 12), np.int32), "up to 0, which leaves open"),
        (np.full((9, 12), -5, np.int32), r"0\.tif has values from -5 to -5: wanted"),
        (np.full((9, 12), np.nan, np.float32), r"0\.tif has values from nan"),
        (np.full((9, 12), np.inf, np.float32), r"0\.tif has values from inf"),
    ],
)
def test_values_that_leave_white_open_are_an_error_that_asks(tmp_path, array, message):
    Image.fromarray(array).save(tmp_path / "0.tif")
    with pytest.raises(ValueError, match=message):
        load(tmp_path, 1, "tif")
    with pytest.raises(ValueError, match=message):
        read_image(tmp_path / "0.tif", SQUASH)


def test_white_can_be_given(tmp_path):
    Image.fromarray(np.full((9, 12), 10**6, np.int32)).save(tmp_path / "0.tif")
    assert (load(tmp_path, 1, "tif", white=2e6).images == 128).all()
    with pytest.raises(ValueError, match=r"0\.tif has values up to 1e\+06, but white is 4095"):
        load(tmp_path, 1, "tif", white=4095)


def test_fractions_among_whole_numbers_are_an_error(tmp_path):
    Image.fromarray(np.full((9, 12), 4000, np.int32)).save(tmp_path / "0.tif")
    Image.fromarray(np.full((9, 12), 0.5, np.float32)).save(tmp_path / "1.tif")
    with pytest.raises(ValueError, match=r"1\.tif has fractions up to 0\.5, but white is 4095"):
        load(tmp_path, 2, "tif")


def test_a_file_of_other_depth_than_the_model_was_trained_on_is_an_error(tmp_path):
    Image.fromarray(shades(0, 60000)).save(tmp_path / "0.png")
    with pytest.raises(ValueError, match=r"0\.png has values up to 60000, but white is 4095"):
        read_image(tmp_path / "0.png", Preprocessing(8, 1, white=4095.0))


# What is no image


def test_read_image_raises_one_clear_error(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image \(its format is unk"):
        read_image(tmp_path / "a.png", SQUASH)
    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        read_image(tmp_path / "b.png", SQUASH)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()  # noqa: PTH109  the path of a socket is limited to 107 bytes
        os.chdir(path.parent)
        listener.bind(path.name)
        os.chdir(here)


SPECIAL = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a socket": make_socket,
}


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("kind", SPECIAL)
def test_only_regular_files_are_opened(tmp_path, kind, capsys):
    solid("RGB", (1, 2, 3)).save(tmp_path / "0.png")
    SPECIAL[kind](tmp_path / "1.png")
    message = rf"1\.png cannot be read as an image \(it is {kind}, not a regular file\)"
    with pytest.raises(ValueError, match=message):
        read_image(tmp_path / "1.png", SQUASH)
    data = load(tmp_path, 2, skip_unreadable=True)
    assert "left out 1 of 2 images" in capsys.readouterr().out
    assert 1 not in np.concatenate(list(data.splits.values()))


def test_a_pipe_in_the_place_of_a_csv_is_refused(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises((ValueError, OSError), match=r"labels\.csv"):
        load_image_csv(tmp_path, tmp_path / "labels.csv")


def claims(width, height):
    """A PNG whose header claims another size than its pixels have."""

    def write(path):
        solid("RGB", (1, 2, 3)).save(path)
        contents = bytearray(path.read_bytes())
        contents[16:24] = struct.pack(">II", width, height)
        contents[29:33] = struct.pack(">I", zlib.crc32(contents[12:29]))
        path.write_bytes(contents)

    return write


def bomb_of_text(path):
    information = PngImagePlugin.PngInfo()
    information.add_text("bomb", "0" * 2**27, zip=True)
    solid("RGB", (1, 2, 3)).save(path, pnginfo=information)


BOMBS = {
    "past the limit": claims(50_000, 50_000),
    "past the limit of a warning": claims(10_000, 10_000),
    "text": bomb_of_text,
    "cut off": claims(500, 500),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_one_line_with_the_path_and_can_be_left_out(tmp_path, name, capsys):
    solid("RGB", (1, 2, 3)).save(tmp_path / "0.png")
    BOMBS[name](tmp_path / "1.png")
    with pytest.raises(ValueError, match=r"1\.png cannot be read as an image") as caught:
        load(tmp_path, 2)
    assert "\n" not in str(caught.value)
    data = load(tmp_path, 2, skip_unreadable=True)
    assert [sum(map(len, data.splits.values())), data.images[0, 0, 0].tolist()] == [1, [1, 2, 3]]
    assert "left out 1 of 2 images" in capsys.readouterr().out


def test_eps_is_not_executed(tmp_path):
    (tmp_path / "0.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(ValueError, match=r"0\.eps cannot be read as an image"):
        read_image(tmp_path / "0.eps", SQUASH)


# Damaged files


FORMATS = ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm", "ico", "tga", "jp2")


def seeds(root):
    """An image of each format, some with metadata."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photograph"
    for suffix in FORMATS:
        image = Image.fromarray(rng.integers(256, size=(20, 24, 3), dtype=np.uint8))
        options = {"exif": exif} if suffix in ("png", "jpg", "webp", "tif") else {}
        image.save(root / f"seed.{suffix}", **options)
    Image.fromarray(rng.integers(65536, size=(20, 24), dtype=np.uint16)).save(
        root / "seed.i16.png"
    )
    solid("LA", (9, 9)).save(root / "seed.la.png")
    solid("RGB", (1, 2, 3)).quantize(2).save(root / "seed.p.png", transparency=0)
    Image.fromarray(rng.random((20, 24), dtype=np.float32)).save(root / "seed.f.tif")
    return sorted(root.glob("seed.*"))


def mutated(contents, rng):
    """A file of which bytes were flipped, cut off, repeated or set in the header."""
    changed = bytearray(contents)
    match rng.integers(4):
        case 0:
            for place in rng.integers(len(changed), size=rng.integers(1, 9)):
                changed[place] ^= 1 << int(rng.integers(8))
        case 1:
            del changed[int(rng.integers(len(changed))) :]
        case 2:
            start = int(rng.integers(len(changed)))
            changed[start:start] = changed[start : start + 32]
        case _:
            for place in rng.integers(min(64, len(changed)), size=4):
                changed[place] = int(rng.integers(256))
    return bytes(changed)


def test_damaged_images_give_pixels_or_one_line_with_the_path(tmp_path, capfd):
    rng, paths = np.random.default_rng(0), seeds(tmp_path)
    images, messages = [], {}
    for number in range(200):
        seed = paths[number % len(paths)]
        path = tmp_path / f"mutated{number}{seed.suffix}"
        path.write_bytes(mutated(seed.read_bytes(), rng))
        try:
            images.append(read_image(path, SQUASH))
        except ValueError as error:
            messages[path] = str(error)
    assert min(len(images), len(messages)) > 20
    assert {image.shape[2:] for image in images} == {(8, 8)}
    assert all(((image >= 0) & (image <= 1)).all() for image in images)
    assert [path for path, message in messages.items() if str(path) not in message] == []
    assert [message for message in messages.values() if "\n" in message] == []
    assert capfd.readouterr().err == ""
    assert len(list(tmp_path.iterdir())) == 200 + len(paths)
