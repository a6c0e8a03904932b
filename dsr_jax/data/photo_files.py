"""Photos and label maps on disk: the map of photo `a/b.jpg` is `a/b.png`."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes


@dataclasses.dataclass(frozen=True)
class PhotoFiles:
    """A folder of photos and, if there is one, a folder of label maps."""

    photos: Path
    labels: Path | None = None

    def __post_init__(self) -> None:
        for folder in filter(None, (self.photos, self.labels)):
            if not folder.is_dir():
                raise UserError(
                    f"{folder}: no such folder; check the data set's paths"
                )

    def photo(self, name: str) -> bytes:
        """The photo's file as it is on disk.

        Raises:
          UserError: it is missing or cannot be read.
        """
        return read_bytes(self.photos / name, "photo")

    def label_path(self, name: str) -> Path | None:
        """Where the label map of a photo would be; None without a folder of them."""
        if self.labels is None:
            return None
        return self.labels / PurePosixPath(name).with_suffix(".png")

    def label_map(self, name: str) -> bytes | None:
        """The label map's file as it is on disk; None if there is none.

        Raises:
          UserError: it is there and cannot be read.
        """
        path = self.label_path(name)
        if path is None or not path.exists():
            return None
        return read_bytes(path, "label map")

    def missing(self, names: Iterable[str]) -> set[str]:
        """Those photos that are not there; every folder is listed once.

        Asking for each file by itself takes minutes on a network disk.
        """
        listed: dict[str, set[str]] = {}
        missing = set()
        for name in set(names):
            folder, _, file = name.rpartition("/")
            if folder not in listed:
                listed[folder] = _files(self.photos / folder)
            if file not in listed[folder]:
                missing.add(name)
        return missing

    def require_labels(self, names: Iterable[str]) -> None:
        """Checks that some photo has a label map, if there is a folder of them.

        Raises:
          UserError: none has.
        """
        if self.labels is None:
            return
        path = None
        for name in names:
            path = self.label_path(name)
            if path is not None and path.exists():
                return
        raise UserError(
            f"{self.labels}: has no label map for any photo; photo a/b.jpg needs "
            f"a/b.png, here {path}"
        )


def _files(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()
