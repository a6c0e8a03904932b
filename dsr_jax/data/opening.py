"""A data set of a config: an annotation file in SPIN's layout, or a folder of records.

What it is decides its content, not its name.
"""

from pathlib import Path

from dsr_jax.data.person import PeopleSource
from dsr_jax.data.records import RecordSource, is_record_folder
from dsr_jax.data.spin_source import SpinSource
from dsr_jax.errors import UserError


def open_source(
    path: str | Path, images: str | Path = "", labels: str | Path | None = None
) -> PeopleSource:
    """The people of a file or a folder.

    Args:
      path: an `.npz` file, see `spin_npz`, or a folder of records.
      images: the folder of photos; of records, the split, or "" if they have one.
      labels: the folder of label maps; None, or "", for none. Records have their own.

    Raises:
      UserError: it cannot be used.
    """
    folder = Path(path)
    if not folder.is_dir():
        return SpinSource(folder, Path(images), labels)
    if labels:
        raise UserError(
            f"{path}: records hold their own label maps; write '' for the folder of "
            "labels, or build the records with --labels"
        )
    if str(images) and not is_record_folder(folder):
        raise UserError(
            f"{path}: is a folder without records; give an npz file, or build records "
            "with tools/build_records.py"
        )
    return RecordSource(folder, str(images))
