"""One photo through small networks, against the same computation in NumPy."""

import dataclasses

import numpy as np
import pytest

from dsr_jax.data import PersonBox
from dsr_jax.errors import UserError
from dsr_jax.parsing import RECIPES, ClothingParser, ParserSettings
from dsr_jax.semantics import ATR, CIHP, VOID, flip_label_map, label_lookup
from tests.parsing.models import ColourNet, painted, save_painter

# float32 networks against float64.
TOLERANCE = 2e-5


def _softmax(logits):
    weights = np.exp(logits - logits.max(0))
    return weights / weights.sum(0)


def _bilinear(values, height, width, corners=False):
    """Resizes (L, h, w) pixel by pixel, by the definition of the two alignments."""
    _, h, w = values.shape
    result = np.zeros((len(values), height, width))
    for i in range(height):
        for j in range(width):
            if corners:
                y, x = i * (h - 1) / (height - 1), j * (w - 1) / (width - 1)
            else:
                y, x = (i + 0.5) * h / height - 0.5, (j + 0.5) * w / width - 0.5
            y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
            top, left = int(y), int(x)
            low, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = y - top, x - left
            result[:, i, j] = (1 - a) * (
                (1 - b) * values[:, top, left] + b * values[:, top, right]
            ) + a * ((1 - b) * values[:, low, left] + b * values[:, low, right])
    return result


def _photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _enlarged(photo, factor):
    """Bilinear, rounded to 8 bits; the parser's own input has them too."""
    values = photo.astype(float).transpose(2, 0, 1)
    height, width = (factor * side for side in photo.shape[:2])
    return _bilinear(values, height, width).transpose(1, 2, 0)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("alignment", ["centres", "corners"])
def test_probabilities_are_the_interpolated_logits_softmax(
    tmp_path, softmax, alignment
):
    net = ColourNet(18, seed=1)
    path = net.save(tmp_path / "a.onnx", softmax=softmax)
    photo = _photo(10, 14)
    settings = ParserSettings("atr", alignment=alignment)
    found = ClothingParser(path, settings).probabilities(photo)
    logits = net.logits(photo / 255)
    corners = alignment == "corners"
    expected = (
        _bilinear(_softmax(logits), 10, 14, corners)
        if softmax
        else _softmax(_bilinear(logits, 10, 14, corners))
    )
    np.testing.assert_allclose(found, expected.transpose(1, 2, 0), atol=TOLERANCE)


def test_scales_and_flip_are_averaged_with_the_sides_swapped_back(tmp_path):
    net = ColourNet(20, seed=2)
    path = net.save(tmp_path / "a.onnx")
    photo = _photo(8, 12, seed=3)
    settings = ParserSettings("cihp", scales=(1.0, 2.0), flip=True)
    found = ClothingParser(path, settings).probabilities(photo)
    parts = []
    for factor in (1, 2):
        pixels = np.rint(_enlarged(photo, factor)) / 255
        straight = net.logits(pixels)
        mirrored = net.logits(pixels[:, ::-1])[:, :, ::-1]
        swap = {14: 15, 16: 17, 18: 19}
        order = [
            swap.get(k, {b: a for a, b in swap.items()}.get(k, k)) for k in range(20)
        ]
        parts += [_softmax(_bilinear(x, 8, 12)) for x in (straight, mirrored[order])]
    expected = np.mean(parts, 0).transpose(1, 2, 0)
    # OpenCV interpolates in steps of 1/32 of a pixel: a level of 255 more or less.
    np.testing.assert_allclose(found, expected, atol=0.03)
    wrong = np.mean([parts[0], parts[2]], 0).transpose(1, 2, 0)
    assert np.abs(found - wrong).max() > 0.2


def test_a_mirrored_photo_gives_the_mirrored_labels_if_flip_is_on(tmp_path):
    path = ColourNet(20, seed=4).save(tmp_path / "a.onnx")
    photo = _photo(16, 20, seed=5)
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    both = ClothingParser(path, ParserSettings("cihp", flip=True))
    np.testing.assert_array_equal(
        both.parse(mirrored), flip_label_map(both.parse(photo))
    )
    one = ClothingParser(path, ParserSettings("cihp"))
    assert (one.parse(mirrored) != flip_label_map(one.parse(photo))).any()


@pytest.mark.parametrize("value_range", [1, 255])
def test_normalization_and_order_of_channels(tmp_path, value_range):
    net = ColourNet(7, seed=6, stride=1)
    path = net.save(tmp_path / "a.onnx")
    photo = _photo(5, 6, seed=7)
    mean, std = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.6, 0.7])
    settings = ParserSettings(
        "pascal",
        mean=tuple(mean * value_range),
        std=tuple(std * value_range),
        channels="bgr",
        value_range=value_range,
    )
    found = ClothingParser(path, settings).probabilities(photo)
    pixels = ((photo / 255 - mean) / std)[..., ::-1]
    expected = _softmax(net.logits(pixels)).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def _labels(height, width, count, seed, block=8):
    """Blocks of labels, so that borders are few and known."""
    coarse = np.random.default_rng(seed).integers(
        0, count, (-(-height // block), -(-width // block))
    )
    return np.kron(coarse, np.ones((block, block), int))[:height, :width]


@pytest.mark.parametrize("indices", [False, True])
@pytest.mark.parametrize("resize", ["stretch", "fit"])
def test_a_fixed_input_gives_the_labels_in_their_places(tmp_path, indices, resize):
    """48 x 24 pixels in 96 x 96: enlarged by 2 and 4, or by 2 with black beside."""
    labels = _labels(48, 24, 18, seed=8)
    path = save_painter(tmp_path / "a.onnx", 18, (96, 96), indices)
    settings = ParserSettings("atr", resize=resize, keep_taxonomy=True)
    found = ClothingParser(path, settings).parse(painted(labels))
    inner = _away_from_borders(labels)
    assert inner.mean() > 0.4
    np.testing.assert_array_equal(found[inner], labels[inner])


def _away_from_borders(labels, distance=1, outside=None):
    """Pixels whose neighbours have the same label: blends do not reach them.

    `outside` is the label beyond the photo; None if nothing is blended with it.
    """
    height, width = labels.shape
    beyond = {"mode": "edge"} if outside is None else {"constant_values": outside}
    padded = np.pad(labels, distance, **beyond)
    same = np.ones(labels.shape, bool)
    for down in range(2 * distance + 1):
        for across in range(2 * distance + 1):
            same &= padded[down : down + height, across : across + width] == labels
    return same


def test_labels_become_those_of_cihp_unless_they_are_kept(tmp_path):
    labels = _labels(18, 20, 18, seed=9)
    path = save_painter(tmp_path / "a.onnx", 18)
    found = ClothingParser(path, ParserSettings("atr")).parse(painted(labels))
    np.testing.assert_array_equal(found, label_lookup(ATR)[labels])
    assert (found[labels == ATR.index("bag")] == VOID).all()
    assert (found[labels == ATR.index("left-arm")] == CIHP.index("left-arm")).all()


def test_crops_of_whole_pixels_are_pasted_exactly(tmp_path):
    """Squares on the pixel grid at native size: nothing is interpolated."""
    labels = _labels(40, 60, 20, seed=10, block=3)
    path = save_painter(tmp_path / "a.onnx", 20)
    parser = ClothingParser(path, ParserSettings("cihp"))
    box = PersonBox((20.5, 17.5), 16)  # columns 13 to 28, rows 10 to 25
    found = parser.parse(painted(labels), [box], growth=1.0)
    expected = np.zeros_like(labels)
    expected[10:26, 13:29] = labels[10:26, 13:29]
    np.testing.assert_array_equal(found, expected)
    whole = parser.parse(painted(labels), [box], growth=1.0, outside="whole")
    np.testing.assert_array_equal(whole, labels)


@pytest.mark.parametrize(
    ("center", "side"), [((20.3, 17.9), 17.4), ((2.0, 3.0), 19.0), ((33.0, 20.0), 90.0)]
)
@pytest.mark.parametrize("size", [None, (64, 64), (24, 40)])
def test_crops_anywhere_keep_every_label_in_its_place(tmp_path, center, side, size):
    """Off the grid, over the border, enlarged, shrunk and stretched."""
    labels = _labels(40, 60, 20, seed=11, block=10)
    path = save_painter(tmp_path / "a.onnx", 20, strict=5000)
    parser = ClothingParser(path, ParserSettings("cihp", input_size=size))
    found = parser.parse(painted(labels), [PersonBox(center, side)], growth=1.0)
    rows, columns = np.mgrid[:40, :60]
    inside = (
        np.maximum(np.abs(columns - center[0]), np.abs(rows - center[1])) < side / 2
    )
    assert not found[~inside].any()
    # An input pixel of the shrunk views covers up to 90/24 photo pixels, and the black
    # beside the photo is blended in like a label.
    margin = 1 if size is None else int(np.ceil(side / 24))
    sure = inside & _away_from_borders(labels, margin, None if size is None else -1)
    assert sure.any()
    np.testing.assert_array_equal(found[sure], labels[sure])


def test_of_overlapping_people_the_nearer_centre_decides(tmp_path):
    """The network knows its view's columns, so that the views can be told apart."""
    net = ColourNet(20, seed=12, stride=1)
    parser = ClothingParser(net.save(tmp_path / "a.onnx"), ParserSettings("cihp"))
    photo = _photo(30, 50, seed=13)
    small, large = PersonBox((14.5, 14.5), 10), PersonBox((24.5, 14.5), 20)
    alone = [parser.parse(photo, [box], growth=1.0) for box in (small, large)]
    both = parser.parse(photo, [small, large], growth=1.0)
    for row in range(5, 25):
        for column in range(10, 35):
            far = [
                max(abs(column - b.center_px[0]), abs(row - b.center_px[1])) / b.size_px
                for b in (small, large)
            ]
            owner = int(far[1] < far[0])
            if min(far) < 0.5:
                assert both[row, column] == alone[owner][row, column]
    assert (alone[0][10:20, 15:20] != alone[1][10:20, 15:20]).any()


def test_strips_change_nothing(tmp_path, monkeypatch):
    path = ColourNet(20, seed=14).save(tmp_path / "a.onnx")
    parser = ClothingParser(path, ParserSettings("cihp", flip=True))
    photo = _photo(23, 18, seed=15)
    whole = parser.parse(photo)
    monkeypatch.setattr("dsr_jax.parsing.parser._STRIP_VALUES", 20 * 18 * 5)
    np.testing.assert_array_equal(parser.parse(photo), whole)


def test_sizes_of_native_views(tmp_path):
    path = ColourNet(20, seed=16, stride=1).save(tmp_path / "a.onnx")
    photo = _photo(30, 44)
    settings = ParserSettings(
        "cihp", longest_side=22, size_multiple=4, scales=(1.0, 2.0)
    )
    looks = ClothingParser(path, settings)._looks
    from dsr_jax.parsing.views import whole_window

    sizes = [look.input_size for look in looks(photo, whole_window((30, 44)))]
    assert sizes == [(16, 24), (32, 44)]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_run_on_models_of_their_taxonomy(tmp_path, name):
    settings = RECIPES[name]
    net = ColourNet(len(settings.labels.names), seed=17, stride=4)
    path = net.save(tmp_path / "a.onnx", settings.input_size or (None, None))
    if settings.input_size is None:
        settings = dataclasses.replace(settings, flip=True)
    found = ClothingParser(path, settings).probabilities(_photo(40, 30))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_label_numbers_cannot_be_averaged(tmp_path):
    path = save_painter(tmp_path / "a.onnx", 20, indices=True)
    for change in ({"flip": True}, {"scales": (0.5, 1.0)}):
        with pytest.raises(UserError, match="cannot be averaged"):
            ClothingParser(path, ParserSettings("cihp", **change))
    with pytest.raises(UserError, match="not probabilities"):
        ClothingParser(path, ParserSettings("cihp")).probabilities(_photo(4, 4))


def test_a_fixed_input_takes_no_other_size(tmp_path):
    path = save_painter(tmp_path / "a.onnx", 20, (32, 32))
    for change in ({"input_size": (64, 64)}, {"scales": (0.5,)}):
        with pytest.raises(UserError, match="32x32"):
            ClothingParser(path, ParserSettings("cihp", **change))
    ClothingParser(path, ParserSettings("cihp", input_size=(32, 32), flip=True))


@pytest.mark.parametrize(
    "change",
    [
        {"scales": ()},
        {"scales": (0.0,)},
        {"std": (1.0, 0.0, 1.0)},
        {"input_size": (0, 4)},
        {"value_range": 2},
        {"resize": "crop"},
        {"size_multiple": 0},
    ],
)
def test_settings_that_mean_nothing_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ParserSettings("cihp", **change)
