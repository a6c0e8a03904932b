"""An ONNX file that looks at images: what it takes and gives is read from the file."""

from pathlib import Path

import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.errors import UserError, nearest
from dsr_jax.parsing.onnx_file import FLOATS, Tensor, first_line, open_session, tensor

# A sum of this many rounded half-precision probabilities may be off by as much.
_PROBABILITY_TOLERANCE = 5e-3


class OnnxModel:
    """Runs one image at a time through a parser of L labels."""

    def __init__(
        self,
        path: str | Path,
        labels: int,
        output: int | str = 0,
        provider: str = "cpu",
        threads: int = 0,
    ):
        """Loads the file and checks what it declares.

        Args:
          path: the `.onnx` file.
          labels: L, how many labels the parser should know.
          output: index or name of the output to read.
          provider: "cpu" or "cuda".
          threads: of one run; 0 lets onnxruntime choose.

        Raises:
          UserError: onnxruntime or its provider is missing, the file cannot be loaded,
            or its input or output is not that of a parser with that many labels.
        """
        self._path, self._labels = path, labels
        self._session = open_session(path, provider, threads)
        self.input = self._only_image([tensor(i) for i in self._session.get_inputs()])
        self._channels_last = self.input.shape[1] != 3 and self.input.shape[3] == 3
        outputs = [tensor(o) for o in self._session.get_outputs()]
        self.output = _chosen(path, outputs, output)
        self._check_declared_labels(outputs)

    @property
    def gives_indices(self) -> bool:
        """Whether the output is label numbers, not scores of every label."""
        return not self.output.is_float

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(H, W) of the only image size that the model takes, if so."""
        shape = self.input.shape
        height, width = shape[1:3] if self._channels_last else shape[2:4]
        return None if height is None or width is None else (height, width)

    def run(
        self, image: Float[np.ndarray, "h w 3"]
    ) -> Float[np.ndarray, "L m n"] | UInt8[np.ndarray, "m n"]:
        """Scores (logits or probabilities) of every label, or label numbers.

        Raises:
          UserError: the model fails, or gives something else than it should.
        """
        array = image if self._channels_last else image.transpose(2, 0, 1)
        batch = np.ascontiguousarray(array[None], FLOATS[self.input.kind])
        try:
            (found,) = self._session.run([self.output.name], {self.input.name: batch})
        # onnxruntime's exceptions have no base class of their own.
        except Exception as error:
            raise UserError(
                f"{self._path}: fails on an input of {image.shape[1]} x "
                f"{image.shape[0]} pixels: {first_line(error)}; try --input_size"
            ) from error
        found = np.asarray(found)
        return self._indices(found) if self.gives_indices else self._scores(found)

    def _scores(self, found: np.ndarray) -> Float[np.ndarray, "L m n"]:
        axis = self._label_axis(found.shape)
        scores = np.moveaxis(found[0], axis - 1, 0).astype(np.float32)
        if not np.isfinite(scores).all():
            raise UserError(
                f"{self._path}: gives values that are not finite; export the model "
                "with float32"
            )
        return np.ascontiguousarray(scores)

    def _indices(self, found: np.ndarray) -> UInt8[np.ndarray, "m n"]:
        planes = found.reshape(-1, *found.shape[-2:])
        if len(planes) != 1:
            raise UserError(
                f"{self._path}: {self.output} must be one map of label numbers, but "
                f"has the shape {found.shape}; export (1, H, W)"
            )
        if planes.min() < 0 or planes.max() >= self._labels:
            raise UserError(
                f"{self._path}: gives the label {int(planes.max())}, but the taxonomy "
                f"ends at {self._labels - 1}; choose another --taxonomy"
            )
        return planes[0].astype(np.uint8)

    def _label_axis(self, shape: tuple[int | None, ...]) -> int:
        """Which axis of (1, L, h, w) or (1, h, w, L) counts labels."""
        axes = (3, 1) if self._channels_last else (1, 3)
        for axis in axes if len(shape) == 4 else ():
            if shape[axis] == self._labels:
                return axis
        sizes = " x ".join("?" if s is None else str(s) for s in shape)
        raise UserError(
            f"{self._path}: the output '{self.output.name}' has the shape {sizes}, but "
            f"1 x {self._labels} x h x w is needed for the taxonomy's {self._labels} "
            "labels; choose another --taxonomy or --output_index"
        )

    def _check_declared_labels(self, outputs: list[Tensor]) -> None:
        shape = self.output.shape
        usual = 3 if self._channels_last else 1
        if self.gives_indices or (len(shape) == 4 and shape[usual] is None):
            return
        try:
            self._label_axis(shape)
        except UserError as error:
            listed = ", ".join(map(str, outputs))
            raise UserError(f"{error} (outputs: {listed})") from error

    def _only_image(self, inputs: list[Tensor]) -> Tensor:
        """The model's one input, if images fit into it."""
        listed = ", ".join(map(str, inputs))
        image = inputs[0] if len(inputs) == 1 else None
        if image is None or not image.is_float or len(image.shape) != 4:
            raise UserError(
                f"{self._path}: needs one input 1 x 3 x H x W of floats, but has "
                f"{listed}; export the network alone"
            )
        batch, channels = image.shape[0], (image.shape[1], image.shape[3])
        if batch not in (None, 1):
            raise UserError(
                f"{self._path}: takes {batch} images at once; export it with a batch "
                "of 1 or a dynamic one"
            )
        if channels[0] not in (3, None) and channels[1] != 3:
            raise UserError(
                f"{self._path}: the input {image} has no axis of 3 colours; export a "
                "parser of RGB or BGR images"
            )
        return image


def are_probabilities(scores: Float[np.ndarray, "L m n"]) -> bool:
    """Whether the labels of every element are above 0 and sum to 1."""
    sums = scores.sum(0)
    return bool(
        scores.min() >= -_PROBABILITY_TOLERANCE
        and np.abs(sums - 1).max() <= _PROBABILITY_TOLERANCE
    )


def _chosen(path: str | Path, outputs: list[Tensor], chosen: int | str) -> Tensor:
    names = [output.name for output in outputs]
    if isinstance(chosen, str):
        if chosen in names:
            return outputs[names.index(chosen)]
        raise UserError(f"{path}: has no output '{chosen}': {nearest(chosen, names)}")
    if not 0 <= chosen < len(outputs):
        raise UserError(
            f"{path}: has no output number {chosen}; its outputs are {', '.join(names)}"
        )
    return outputs[chosen]
