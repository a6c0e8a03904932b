"""A clothing parser: photo → labels, averaged over scales and mirroring, or by person.

parser = ClothingParser("parser.onnx", RECIPES["schp-atr"])
labels = parser.parse(image)                  # CIHP's labels, (H, W) uint8
labels = parser.parse(image, people=boxes)    # every person looked at closely
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.data import PersonBox
from dsr_jax.errors import UserError
from dsr_jax.parsing.onnx_model import OnnxModel, are_probabilities
from dsr_jax.parsing.settings import ParserSettings
from dsr_jax.parsing.views import (
    Window,
    box_window,
    cut,
    fitted,
    interpolate,
    nearest_windows,
    output_places,
    pixels_inside,
    whole_window,
)
from dsr_jax.semantics import label_lookup

# Training enlarges a person's box by up to a quarter (AugmentationSettings.scale_std).
BOX_GROWTH = 1.25
# Photo pixels are decided in strips: this many probabilities at a time, 32 MB.
_STRIP_VALUES = 8_000_000


@dataclasses.dataclass(frozen=True)
class Look:
    """One run of the network, sides already swapped back."""

    output: np.ndarray
    """Scores (L, m, n), or label numbers (m, n)."""
    input_size: tuple[int, int]
    has_probabilities: bool


class ClothingParser:
    """Labels photos with an ONNX model."""

    def __init__(
        self,
        model: str | Path,
        settings: ParserSettings,
        provider: str = "cpu",
        threads: int = 0,
    ):
        """Loads the model and checks that the settings fit it.

        Raises:
          UserError: onnxruntime is missing, the file is not such a model, or it cannot
            do what the settings ask.
        """
        labels = len(settings.labels.names)
        self._model = OnnxModel(model, labels, settings.output, provider, threads)
        self._settings = settings
        self._input_size = settings.input_size
        if self._model.gives_indices and settings.averages:
            raise UserError(
                f"{model}: gives label numbers, which cannot be averaged; leave --flip "
                "and --scales out, or export its scores"
            )
        fixed = self._model.fixed_size
        if fixed is None:
            return
        if settings.input_size not in (None, fixed) or settings.scales != (1.0,):
            raise UserError(
                f"{model}: takes images of {fixed[0]}x{fixed[1]} (H x W) only; leave "
                "--input_size and --scales out, or export it with dynamic axes"
            )
        self._input_size = fixed

    def parse(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        people: Sequence[PersonBox] = (),
        growth: float = BOX_GROWTH,
        outside: str = "background",
    ) -> UInt8[np.ndarray, "H W"]:
        """The label of every pixel; CIHP's, unless the settings keep the parser's.

        Args:
          image: RGB.
          people: each one's square is looked at on its own; `nearest_windows` says
            whose a pixel in several squares is.
          growth: what the sides of the squares are multiplied by first.
          outside: of all squares: "background", or "whole" for the photo as one view.
        """
        size = (image.shape[0], image.shape[1])
        labels = np.zeros(size, np.uint8)
        if not people or outside == "whole":
            labels = self._labels(image, whole_window(size), (0, size[0], 0, size[1]))
        windows = [box_window(box, growth) for box in people]
        owners = nearest_windows(windows, size)
        for number, window in enumerate(windows):
            rows = pixels_inside(window.top, window.height, size[0])
            columns = pixels_inside(window.left, window.width, size[1])
            own = np.s_[rows[0] : rows[1], columns[0] : columns[1]]
            mine = owners[own] == number
            if not mine.any():
                continue
            found = self._labels(image, window, (*rows, *columns))
            labels[own] = np.where(mine, found, labels[own])
        if self._settings.keep_taxonomy:
            return labels
        return label_lookup(self._settings.labels)[labels]

    def probabilities(
        self, image: UInt8[np.ndarray, "H W 3"]
    ) -> Float[np.ndarray, "H W L"]:
        """Of the parser's own labels, for the photo as one view; float32.

        Raises:
          UserError: the model gives label numbers.
        """
        if self._model.gives_indices:
            raise UserError("the model gives label numbers, not probabilities")
        height, width = image.shape[:2]
        window = self._shown(whole_window((height, width)))
        looks = list(self._looks(image, window))
        region = (0, height, 0, width)
        return np.moveaxis(self._mean(looks, window, region), 0, -1)

    def _labels(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        window: Window,
        region: tuple[int, int, int, int],
    ) -> UInt8[np.ndarray, "R C"]:
        """The parser's labels of the pixels in rows and columns [from, to)."""
        window = self._shown(window)
        looks = list(self._looks(image, window))
        top, bottom, left, right = region
        count = len(self._settings.labels.names)
        step = max(1, _STRIP_VALUES // max(1, count * (right - left)))
        strips = [np.zeros((0, right - left), np.uint8)]
        for start in range(top, bottom, step):
            part = (start, min(start + step, bottom), left, right)
            if self._model.gives_indices:
                strips.append(self._nearest(looks[0], window, part))
            else:
                strips.append(self._mean(looks, window, part).argmax(0).astype("u1"))
        return np.concatenate(strips)

    def _shown(self, window: Window) -> Window:
        size = self._input_size
        if size is None or self._settings.resize == "stretch":
            return window
        return fitted(window, size)

    def _looks(
        self, image: UInt8[np.ndarray, "H W 3"], window: Window
    ) -> Iterator[Look]:
        """Every scale, straight and mirrored."""
        for scale in self._settings.scales:
            size = self._size(window, scale)
            pixels = self._normalized(cut(image, window, size))
            output = self._model.run(pixels)
            probable = not self._model.gives_indices and are_probabilities(output)
            yield Look(output, size, probable)
            if self._settings.flip:
                mirrored = self._model.run(pixels[:, ::-1])
                swapped = mirrored[self._settings.labels.flip, :, ::-1]
                yield Look(swapped, size, probable)

    def _size(self, window: Window, scale: float) -> tuple[int, int]:
        """Of the network's input, (h, w)."""
        if self._model.fixed_size is not None:
            return self._model.fixed_size
        sides = np.array(self._input_size or (window.height, window.width), float)
        longest, multiple = self._settings.longest_side, self._settings.size_multiple
        if self._input_size is None and longest:
            scale *= min(1.0, longest / sides.max())
        counts = np.maximum(np.rint(sides * scale / multiple), 1) * multiple
        return int(counts[0]), int(counts[1])

    def _normalized(
        self, pixels: UInt8[np.ndarray, "h w 3"]
    ) -> Float[np.ndarray, "h w 3"]:
        settings = self._settings
        white = np.float32(settings.value_range / 255)
        mean, std = (np.array(v, np.float32) for v in (settings.mean, settings.std))
        values = (pixels * white - mean) / std
        return values if settings.channels == "rgb" else values[..., ::-1]

    def _mean(
        self, looks: list[Look], window: Window, region: tuple[int, int, int, int]
    ) -> Float[np.ndarray, "L R C"]:
        """Mean probabilities of the photo's pixels in a region."""
        total = np.zeros((), np.float32)
        for look in looks:
            values = interpolate(look.output, *self._places(look, window, region))
            # Logits are interpolated before the softmax, as the parsers' programs do.
            total = total + (values if look.has_probabilities else _softmax(values))
        return total / np.float32(len(looks))

    def _nearest(
        self, look: Look, window: Window, region: tuple[int, int, int, int]
    ) -> UInt8[np.ndarray, "R C"]:
        places = self._places(look, window, region)
        return look.output[np.ix_(*(np.floor(p + 0.5).astype(int) for p in places))]

    def _places(
        self, look: Look, window: Window, region: tuple[int, int, int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        size = (look.output.shape[-2], look.output.shape[-1])
        alignment = self._settings.alignment
        return output_places(region, window, look.input_size, size, alignment)


def _softmax(scores: Float[np.ndarray, "L R C"]) -> Float[np.ndarray, "L R C"]:
    weights = np.exp(scores - scores.max(0))
    return weights / weights.sum(0)
