import struct
import zlib

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.semantics import (
    CIHP,
    TAXONOMIES,
    VOID,
    BrokenLabelMap,
    colour_label_map,
    decode_label_map,
    flip_label_map,
    label_lookup,
    read_label_map,
    write_label_map,
)

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


@pytest.fixture
def labels():
    """Every label, on a map whose width is no multiple of eight."""
    random = np.random.default_rng(0)
    values = random.integers(0, 20, (9, 13)).astype(np.uint8)
    values.ravel()[:20] = np.arange(20)
    return values


def png(samples, colour_type, depth=8, palette=None):
    """Encodes (H, W) or (H, W, C) samples by hand, as another program might."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if depth < 8:
        bits = np.unpackbits(rows[..., None].astype(np.uint8), axis=-1)[..., -depth:]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    data = rows.astype(">u2").tobytes() if depth == 16 else rows.tobytes()
    stride = len(data) // height
    lines = (b"\0" + data[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if palette is not None:
        chunks.append((b"PLTE", np.asarray(palette, np.uint8).tobytes()))
        chunks.append((b"tRNS", b"\0"))
    chunks += [(b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def voc_palette(count):
    """The bit-reversal palette of PASCAL VOC, which LIP's tools write."""
    colours = np.zeros((count, 3), np.uint8)
    for index in range(count):
        for bit in range(8):
            for channel in range(3):
                value = index >> (3 * bit + channel) & 1
                colours[index, channel] |= value << (7 - bit)
    return colours


def encodings(labels):
    colours = CIHP.palette[labels]
    shuffle = np.random.default_rng(1).permutation(20)
    opaque = np.full((*labels.shape, 1), 255, np.uint8)
    grey = labels[..., None]
    return {
        "index": png(labels, GREY),
        "colour": png(colours, RGB),
        "colour rounded": png(colours ^ 7, RGB),
        "colour with alpha": png(np.concatenate([colours, opaque], -1), RGBA),
        "index in three channels": png(np.repeat(grey, 3, -1), RGB),
        "index with alpha": png(np.concatenate([grey, opaque], -1), GREY_ALPHA),
        "palette, foreign colours": png(labels, PALETTE, palette=voc_palette(256)),
        "palette, own colours": png(labels, PALETTE, palette=CIHP.palette),
        "palette, own colours shuffled": png(
            np.argsort(shuffle)[labels].astype(np.uint8),
            PALETTE,
            palette=CIHP.palette[shuffle],
        ),
    }


@pytest.mark.parametrize("kind", encodings(np.zeros((1, 1), np.uint8)))
def test_every_encoding_reads_the_same(tmp_path, labels, kind):
    path = tmp_path / "labels.png"
    path.write_bytes(encodings(labels)[kind])
    read = read_label_map(path, labels.shape)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_of_few_bits_keep_their_indices(tmp_path, labels, depth):
    few = np.minimum(labels, 2**depth - 1)
    (tmp_path / "few.png").write_bytes(png(few, PALETTE, depth, voc_palette(2**depth)))
    # Two colours of VOC are CIHP's first two; four and more are not CIHP's.
    np.testing.assert_array_equal(read_label_map(tmp_path / "few.png"), few)


@pytest.mark.parametrize("colour", [False, True])
def test_what_is_written_reads_back(tmp_path, labels, colour):
    path = tmp_path / "labels.png"
    write_label_map(path, labels, colour)
    np.testing.assert_array_equal(read_label_map(path), labels)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    expected = CIHP.palette[labels][..., ::-1] if colour else labels
    np.testing.assert_array_equal(stored, expected)
    assert [file.name for file in tmp_path.iterdir()] == ["labels.png"]


def test_writing_refuses_foreign_labels_and_leaves_the_old_file(tmp_path, labels):
    path = tmp_path / "labels.png"
    write_label_map(path, labels)
    with pytest.raises(ValueError, match="0 to 19"):
        write_label_map(path, labels + 1)
    np.testing.assert_array_equal(read_label_map(path), labels)
    with pytest.raises(UserError, match="cannot write"):
        write_label_map(tmp_path / "missing" / "labels.png", labels)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        write_label_map(tmp_path / "folder", labels)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "labels.png"]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda a: png(a, GREY)[:-20], "truncated"),
        (lambda a: png(a, GREY)[:30], "truncated"),
        (lambda a: b"", "is empty"),
        (lambda a: cv2.imencode(".jpg", a)[1].tobytes(), "not a PNG"),
        (lambda a: bytearray(png(a, GREY)[:50]) + b"\1" + png(a, GREY)[51:], "damaged"),
        (lambda a: png(a, GREY, 16), "16 bits"),
        (lambda a: png(a % 2, GREY, 1), "1 bits"),
        (lambda a: png(a + 1, GREY), "value 20"),
        (lambda a: png(a + 1, PALETTE, palette=voc_palette(256)), "value 20"),
        (lambda a: png(a, PALETTE, palette=voc_palette(7)), "beyond its palette"),
        (lambda a: png(CIHP.palette[a] ^ 63, RGB), "colours of no label"),
        (lambda a: png(a[:4], GREY), "13 x 4 pixels but its image has 13 x 9"),
    ],
)
def test_bad_files_are_one_line_that_names_them(tmp_path, labels, make, complaint):
    path = tmp_path / "bad.png"
    path.write_bytes(bytes(make(labels)))
    with pytest.raises(UserError, match=complaint) as caught:
        read_label_map(path, labels.shape)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_missing_files_and_folders_are_one_line(tmp_path, name):
    with pytest.raises(UserError, match="cannot read this label map"):
        read_label_map(tmp_path / name)


def blobs():
    """Large patches of labels on background, as a person has."""
    labels = np.zeros((90, 130), np.uint8)
    for number, (top, left) in enumerate(np.ndindex(2, 4)):
        row, column = 8 + 40 * top, 6 + 31 * left
        labels[row : row + 34, column : column + 26] = 2 + 2 * number
    labels[20:70, 40:70] = 19
    return labels


def inside(labels):
    """Pixels further than two from any border."""
    window = np.ones((5, 5), np.uint8)
    return cv2.dilate(labels, window) == cv2.erode(labels, window)


@pytest.mark.parametrize("quality", [98, 90, 75])
def test_damage_by_jpeg_is_repaired(tmp_path, quality):
    labels = blobs()
    setting = [cv2.IMWRITE_JPEG_QUALITY, quality]
    jpeg = cv2.imencode(".jpg", CIHP.palette[labels][..., ::-1], setting)[1]
    pixels = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
    assert (np.abs(pixels.astype(int) - CIHP.palette[labels]).max(-1) > 40).any()
    (tmp_path / "damaged.png").write_bytes(png(pixels, RGB))
    read = read_label_map(tmp_path / "damaged.png")
    np.testing.assert_array_equal(read[inside(labels)], labels[inside(labels)])
    assert np.mean(read == labels) > 0.97


@pytest.mark.parametrize("size", [(65, 45), (200, 140)])
def test_damage_by_resizing_is_repaired(tmp_path, size):
    labels = blobs()
    pixels = cv2.resize(CIHP.palette[labels], size, interpolation=cv2.INTER_LINEAR)
    wanted = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    (tmp_path / "resized.png").write_bytes(png(pixels, RGB))
    read = read_label_map(tmp_path / "resized.png")
    np.testing.assert_array_equal(read[inside(wanted)], wanted[inside(wanted)])


@pytest.mark.parametrize("extent", [1, 14])
def test_foreign_colours_are_refused_with_a_count(tmp_path, extent):
    colours = CIHP.palette[blobs()].copy()
    colours[38 : 38 + extent, 48 : 48 + extent] = (90, 90, 200)
    (tmp_path / "foreign.png").write_bytes(png(colours, RGB))
    count = rf"{extent**2} of 11700 pixels .* \(90, 90, 200\)"
    with pytest.raises(UserError, match=count):
        read_label_map(tmp_path / "foreign.png")


def test_a_photo_is_no_label_map(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    (tmp_path / "photo.png").write_bytes(png(noise, RGB))
    with pytest.raises(UserError, match="colours of no label"):
        read_label_map(tmp_path / "photo.png")


def test_void_is_read_where_it_is_expected(tmp_path, labels):
    path = tmp_path / "void.png"
    labels[2:4] = VOID
    write_label_map(path, labels)
    np.testing.assert_array_equal(read_label_map(path, void=True), labels)
    with pytest.raises(UserError, match="value 255"):
        read_label_map(path)
    np.testing.assert_array_equal(flip_label_map(labels) == VOID, labels == VOID)
    assert tuple(colour_label_map(labels)[2, 0]) == (224, 224, 224)
    with pytest.raises(ValueError, match="0 to 19"):
        write_label_map(path, labels, colour=True)
    write_label_map(path, np.where(labels > 9, VOID, 0))
    with pytest.raises(UserError, match="silhouette"):
        read_label_map(path, void=True)


@pytest.mark.parametrize("name", ["lip", "atr", "pascal"])
@pytest.mark.parametrize("kind", ["index", "palette", "colour"])
def test_other_taxonomies_become_cihp(tmp_path, name, kind):
    taxonomy = TAXONOMIES[name]
    count = len(taxonomy.names)
    theirs = np.repeat(np.arange(count, dtype=np.uint8), 12)[None].repeat(9, 0)
    path = tmp_path / "theirs.png"
    path.write_bytes(
        {
            "index": lambda: png(theirs, GREY),
            "palette": lambda: png(theirs, PALETTE, palette=taxonomy.palette),
            "colour": lambda: png(taxonomy.palette[theirs], RGB),
        }[kind]()
    )
    read = read_label_map(path, taxonomy=taxonomy)
    np.testing.assert_array_equal(read, label_lookup(taxonomy)[theirs])
    for number, label in enumerate(taxonomy.names):
        if label in CIHP.names:
            assert set(read[theirs == number]) == {CIHP.index(label)}
    path.write_bytes(png(theirs + 1, GREY))
    with pytest.raises(UserError, match=f"value {count}, but {taxonomy.name}"):
        read_label_map(path, taxonomy=taxonomy)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_flip_mirrors_and_swaps_the_sides(labels, array):
    swap = {14: 15, 15: 14, 16: 17, 17: 16, 18: 19, 19: 18}
    expected = [[swap.get(int(v), int(v)) for v in row[::-1]] for row in labels]
    flipped = flip_label_map(array(labels))
    assert isinstance(flipped, np.ndarray) == (array is np.asarray)
    assert flipped.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(flipped), expected)
    pair = flip_label_map(array(np.stack([labels, labels])))
    np.testing.assert_array_equal(np.asarray(pair[1]), expected)
    np.testing.assert_array_equal(np.asarray(flip_label_map(flipped)), labels)


def test_colours_of_labels(labels):
    picture = colour_label_map(labels)
    assert picture.shape == (9, 13, 3)
    assert tuple(picture[0, 9]) == (0, 85, 85)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    header = struct.pack(">IIBBBBB", 18000, 18000, 1, 3, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    data += struct.pack(">I", zlib.crc32(chunk))
    data += struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
    with pytest.raises(BrokenLabelMap, match="18000 x 18000 pixels, more than 2"):
        decode_label_map(data, "a.png")
