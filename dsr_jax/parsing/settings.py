"""How photos are shown to a parser, and how its answers are read."""

import dataclasses

from dsr_jax.semantics import Taxonomy, taxonomy_by_name


@dataclasses.dataclass(frozen=True)
class ParserSettings:
    """What an ONNX file does not say about itself.

    Attributes:
      taxonomy: the parser's own labels: "cihp", "lip", "atr" or "pascal".
      input_size: (H, W) that every view is resized to; None keeps the photo's pixels.
        A model whose input is fixed needs no value.
      resize: "stretch" fills the input with the view and changes its proportions;
        "fit" keeps them and adds black.
      alignment: what a coarser output's first and last elements stand for: "centres"
        (each covers an equal share of the input; `align_corners=False` of PyTorch) or
        "corners" (they lie on the first and last pixels; `align_corners=True`).
      mean, std: of R, G, B, in units of `value_range`: the input is (x - mean)/std.
      channels: the order in which the model takes them.
      value_range: what white is before the normalisation: 1 or 255.
      scales: factors of the input's size; the probabilities are averaged.
      flip: average with the mirrored view too, left and right swapped back.
      size_multiple: sizes of the input are rounded to multiples of it.
      longest_side: with `input_size` None, larger views are shrunk to it; 0 never.
      output: index or name of the model's output that holds the labels.
      keep_taxonomy: give the parser's own label numbers instead of CIHP's.
    """

    taxonomy: str
    input_size: tuple[int, int] | None = None
    resize: str = "stretch"
    alignment: str = "centres"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channels: str = "rgb"
    value_range: int = 1
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    size_multiple: int = 1
    longest_side: int = 0
    output: int | str = 0
    keep_taxonomy: bool = False

    def __post_init__(self):
        """Refuses what no parser can mean.

        Raises:
          ValueError: names the field.
          UserError: an unknown taxonomy.
        """
        taxonomy_by_name(self.taxonomy)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"'{name}' must be one of {known}")
        sides = self.input_size or (1,)
        if not 1 <= min(sides) <= max(sides) <= _LARGEST_SIDE:
            raise ValueError(f"'input_size' must be 1 to {_LARGEST_SIDE}")
        if not self.scales or min(self.scales) <= 0 or max(self.scales) > 10:
            raise ValueError("'scales' must be positive numbers, at most 10")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("'mean' and 'std' must be three numbers, 'std' positive")
        if self.size_multiple < 1 or self.longest_side < 0:
            raise ValueError("'size_multiple' must be 1 or more, 'longest_side' 0")

    @property
    def labels(self) -> Taxonomy:
        """The parser's own labels."""
        return taxonomy_by_name(self.taxonomy)

    @property
    def averages(self) -> bool:
        """Whether each view is looked at more than once, or at another scale."""
        return self.flip or self.scales != (1.0,)


# Of inputs, in pixels; far more than any parser was trained with.
_LARGEST_SIDE = 8192
_CHOICES: dict[str, tuple[str | int, ...]] = {
    "resize": ("stretch", "fit"),
    "alignment": ("centres", "corners"),
    "channels": ("rgb", "bgr"),
    "value_range": (1, 255),
}
