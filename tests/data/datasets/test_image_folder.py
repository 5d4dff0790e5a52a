"""A folder with one folder of images for each class."""

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data import load_image_folder
from ccvae_pyro.labels import Categorical


def write_classes(root, num=12, mode="L"):
    """Three classes of images, the second with half as many; one shade each."""
    for place, name in enumerate(("Hand", "CXR", "HeadCT")):
        (root / name).mkdir(parents=True)
        for i in range(num // 2 if name == "CXR" else num):
            Image.new(mode, (16, 16), 40 * place + i).save(root / name / f"{i:03}.png")
    return root


def sizes(data):
    return [len(data.splits[name]) for name in ("train", "valid", "test")]


def test_class_folders_are_one_categorical_label(tmp_path):
    data = load_image_folder(write_classes(tmp_path), size=8)
    assert data.label_types == (Categorical("class", ("CXR", "Hand", "HeadCT")),)
    assert data.images.shape == (30, 8, 8, 1)
    assert data.labels[:, 0].tolist() == [0] * 6 + [1] * 12 + [2] * 12
    assert data.images[:, 0, 0, 0].tolist() == [*range(40, 46), *range(12), *range(80, 92)]
    assert sizes(data) == [26, 2, 2]


def test_the_cache_and_files_that_are_not_images_are_skipped(tmp_path):
    root = write_classes(tmp_path)
    (root / ".hidden").mkdir()
    (root / "about.txt").write_text("about")
    (root / "Hand" / ".000.png").write_text("no image")
    (root / "Hand" / "Thumbs.db").write_text("no image")
    first, again = (load_image_folder(root, size=8) for _ in range(2))
    assert again.label_types[0].classes == ("CXR", "Hand", "HeadCT")
    assert len(first.images) == len(again.images) == 30


@pytest.mark.parametrize("stratify", [True, False])
def test_the_split_is_stratified_on_request(tmp_path, stratify):
    data = load_image_folder(write_classes(tmp_path, 48), size=4, stratify=stratify, seed=3)
    counts = [np.bincount(data.labels[rows, 0].astype(int)) for rows in data.splits.values()]
    assert sizes(data) == [100, 10, 10]
    is_alike = all(abs(count - share).max() <= 1 for count in counts[1:] for share in ([2, 4, 4],))
    assert is_alike == stratify


def test_a_subset_has_the_same_fraction_of_each_class(tmp_path):
    root = write_classes(tmp_path)
    first, again, other = (
        load_image_folder(root, size=8, num_images=10, seed=seed) for seed in (0, 0, 1)
    )
    assert np.bincount(first.labels[:, 0].astype(int)).tolist() == [2, 4, 4]
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert len(load_image_folder(root, size=8, num_images=1000).images) == 30


def test_unreadable_images_can_be_left_out(tmp_path, capsys):
    root = write_classes(tmp_path)
    (root / "Hand" / "003.png").write_text("no image")
    with pytest.raises(ValueError, match=r"003\.png cannot be read as an image"):
        load_image_folder(root, size=8)
    data = load_image_folder(root, size=8, skip_unreadable=True)
    assert "left out 1 of 30 images" in capsys.readouterr().out
    assert 6 + 3 not in np.concatenate(list(data.splits.values()))


def keep_only(*names):
    def change(root):
        for folder in root.iterdir():
            if folder.name not in names:
                folder.rename(root.parent / folder.name)

    return change


def thin_out(num):
    def change(root):
        for path in sorted((root / "CXR").iterdir())[num:]:
            path.unlink()

    return change


BAD_CLASSES = {
    "nothing": (keep_only(), {}, "a folder for each class, at least two, got none"),
    "one": (keep_only("Hand"), {}, "at least two, got only 'Hand'"),
    "empty": (thin_out(0), {}, "CXR: wanted at least two images of a class, got 0"),
    "one image": (thin_out(1), {}, "CXR: wanted at least two images of a class, got 1"),
    "too few": (thin_out(4), {"num_images": 5}, "at least two for each of 3 classes, got 5"),
}


@pytest.mark.parametrize(("change", "options", "message"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_invalid_class_folders_are_errors(tmp_path, change, options, message):
    root = write_classes(tmp_path / "images")
    change(root)
    with pytest.raises(ValueError, match=message):
        load_image_folder(root, size=8, **options)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere, does not exist"):
        load_image_folder(tmp_path / "nowhere")
