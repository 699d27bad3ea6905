"""Pixel values in a file: what is taken as it is, what is a photo, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.pixels import read_pixels
from pipeline.support.errors import UserError

SHAPE = (28, 20)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
IMAGES[:, 0, 0] = 255


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
@pytest.mark.parametrize(
    ("values", "count"),
    [
        (IMAGES[0], 1),
        (IMAGES[0].ravel(), 1),
        (IMAGES.reshape(3, -1), 3),
        (IMAGES, 3),
        (IMAGES[0] / 255, 1),
    ],
    ids=["its shape", "a row", "rows", "stacked", "from 0 to 1"],
)
def test_what_fits_the_data_is_taken_as_it_is(
    values: np.ndarray, count: int, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"images{suffix}"
    if suffix == ".npy":
        np.save(path, values)
    elif values.ndim > 2:
        pytest.skip("a table has two dimensions")
    else:
        np.savetxt(path, values, delimiter=",")
    np.testing.assert_allclose(read_pixels(path, SHAPE), IMAGES[:count] / 255)


def test_another_table_of_numbers_is_a_photo(tmp_path: Path) -> None:
    photo = np.full((150, 120), 240)
    photo[40:100, 50:60] = 30
    np.savetxt(tmp_path / "one.csv", photo, delimiter=",", fmt="%d")
    [found] = read_pixels(tmp_path / "one.csv", SHAPE)
    assert found.shape == SHAPE and found.sum() == pytest.approx(20 * 20 / 6, rel=0.1)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("a.npy", np.array([{"a": 1}]), "Array can't be memory-mapped: Python objects in dtype"),
        ("a.npy", np.zeros((2, 28, 20, 3)), r"numbers of shape \(2, 28, 20, 3\)"),
        ("a.npy", np.full(SHAPE, np.nan), "values below 0, above 255 or none at all"),
        ("a.npy", -IMAGES[0].astype(int), "values below 0, above 255 or none at all"),
        ("a.npy", np.zeros((0, 560)), r"float64 of shape \(0, 560\)"),
        ("a.npy", np.zeros((5, 560), "U3"), r"<U3 of shape \(5, 560\)"),
        ("a.npy", b"\x93NUMPY and no more", ".*"),
        ("a.csv", b"label,pixel\n3,7\n", "could not convert string 'label' to float64 at row 0, column 1"),
        ("a.csv", b"1,2,3\n1,2\n", ".*number of columns changed.*"),
        ("a.csv", b"1,2,3\n", r"numbers of shape \(3,\)"),
        ("a.csv", b"\xff\x00", ".*"),
    ],
)
def test_other_files_are_refused_in_one_line(
    name: str, values: np.ndarray | bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(values, bytes):
        path.write_bytes(values)
    else:
        np.save(path, values)
    told = r"it should hold 560 values from 0 to 255, a row an image, or 28 rows of 20, or a photo"
    with pytest.raises(UserError, match=rf"^{path}: {message}\.?: {told}$") as error:
        read_pixels(path, SHAPE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("photos", [True, False])
def test_bytes_are_divided_as_in_training_where_the_images_are_no_digits_on_paper(
    tmp_path: Path, photos: bool
) -> None:
    np.save(tmp_path / "mask.npy", np.ones(SHAPE, np.uint8))
    [found] = read_pixels(tmp_path / "mask.npy", SHAPE, photos)
    assert (found == (1 if photos else 1 / 255)).all()
    np.save(tmp_path / "large.npy", np.zeros((40, 40), np.uint8))
    if not photos:
        with pytest.raises(UserError, match=r"large.npy: numbers of shape \(40, 40\): it should hold 560 "):
            read_pixels(tmp_path / "large.npy", SHAPE, photos)
