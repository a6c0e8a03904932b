"""SPIN's annotation files among the kinds of data sets."""

from pathlib import Path

from dsr_jax.data.spin_source import SpinSource
from dsr_jax.errors import UserError


def open_spin(
    root: Path,
    split: str,
    labels: Path | None = None,
    broken: str = "stop",
    annotations: str | Path | None = None,
) -> SpinSource:
    """The people of an npz file in SPIN's layout, in its order.

    Args:
      root: the folder that `imgname` is relative to.
      split: the npz file is the split: "".
      labels: folder of label maps.
      broken: "stop"; a row of an npz file is not left out, the file is corrected.
      annotations: the npz file.

    Raises:
      UserError: annotations that cannot be used, a folder that does not exist, or no
        photo with a label map.
    """
    if annotations is None:
        raise UserError("spin: give 'annotations', the path of the npz file")
    if split:
        raise UserError(
            f"spin has no split '{split}': its npz file is one; leave it ''"
        )
    if broken != "stop":
        raise UserError(f"spin: broken '{broken}' is not known here; give 'stop'")
    return SpinSource(annotations, root, labels)
