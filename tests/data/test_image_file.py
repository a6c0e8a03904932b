"""Photos come whole, in RGB and upright, or as one line that names the file."""

import struct

import cv2
import numpy as np
import pytest

from dsr_jax.data import StoredFile, read_image, write_image
from dsr_jax.data.image_file import decode_image, is_truncated
from dsr_jax.errors import UserError

# Grey levels that compression costs; swapped channels or axes would cost over 100.
JPEG_TOLERANCE = 8


@pytest.fixture
def photo():
    """Smooth enough for JPEG, and of three different channels."""
    rows, columns = np.mgrid[:40, :60]
    channels = [4 * columns, 5 * rows, 120 + 0 * rows]
    return np.stack(channels, -1).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".png", 0), (".jpg", JPEG_TOLERANCE)]
)
def test_what_is_written_is_read(tmp_path, photo, suffix, tolerance):
    path = tmp_path / f"photo{suffix}"
    write_image(path, photo)
    read = read_image(path)
    assert np.abs(read.astype(int) - photo).max() <= tolerance
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_grey_images_become_rgb(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    np.testing.assert_array_equal(
        read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, -1)
    )


def _jpeg(photo, *options):
    return cv2.imencode(".jpg", photo[..., ::-1], list(options))[1].tobytes()


def _with_thumbnail(jpeg):
    """An APP1 segment whose payload is a whole JPEG, as cameras write it."""
    thumbnail = _jpeg(np.zeros((8, 8, 3), np.uint8))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    return jpeg[:2] + segment + jpeg[2:]


@pytest.mark.parametrize("kind", ["baseline", "progressive", "thumbnail", "png"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.98])
def test_truncated_images_are_refused(tmp_path, photo, kind, kept):
    data = {
        "baseline": lambda: _jpeg(photo),
        "progressive": lambda: _jpeg(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "thumbnail": lambda: _with_thumbnail(_jpeg(photo)),
        "png": lambda: cv2.imencode(".png", photo)[1].tobytes(),
    }[kind]()
    assert not is_truncated(data)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data)
    assert read_image(path).shape == photo.shape
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(UserError, match=r"cut\.jpg: this image is truncated"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"GIF89a" + bytes(30)])
def test_other_content_is_refused(tmp_path, content):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"notes\.jpg: not an image"):
        read_image(path)


def test_missing_files_and_folders_are_named(tmp_path, photo):
    with pytest.raises(UserError, match=r"nowhere\.jpg: cannot read this image"):
        read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(UserError, match=r"a\.png: cannot write: No such file"):
        write_image(tmp_path / "missing" / "a.png", photo)
    with pytest.raises(UserError, match=r"cannot write '\.tga' images"):
        write_image(tmp_path / "a.tga", photo)


def test_exif_orientation_is_followed(tmp_path, photo):
    """Orientation 6: the stored rows are the columns of the upright photo."""
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + struct.pack(
        ">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0
    )
    body = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    jpeg = _jpeg(photo)
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + segment + jpeg[2:])
    read = read_image(tmp_path / "turned.jpg")
    expected = np.rot90(photo, -1)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= JPEG_TOLERANCE


def test_too_many_pixels_are_refused_before_they_are_decoded(photo):
    """18000 x 18000 in the header; OpenCV would ask for a gigabyte."""
    png = cv2.imencode(".png", photo)[1].tobytes()
    jpeg = _with_thumbnail(_jpeg(photo, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    bmp = cv2.imencode(".bmp", photo)[1].tobytes()
    frame = jpeg.index(b"\xff\xc2") + 5
    for data in (
        png[:16] + struct.pack(">II", 18000, 18000) + png[24:],
        jpeg[:frame] + struct.pack(">HH", 18000, 18000) + jpeg[frame + 4 :],
        bmp[:18] + struct.pack("<ii", 18000, -18000) + bmp[26:],
    ):
        with pytest.raises(UserError, match="a: has 18000 x 18000 pixels, more than 2"):
            decode_image(StoredFile("a", data))
    for data in (png, jpeg, bmp):
        assert decode_image(StoredFile("a", data)).shape == photo.shape
