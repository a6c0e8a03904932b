"""Photos in a folder, and their label maps by name in another."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from dsr_jax.arrays import Integer
from dsr_jax.data.person import StoredFile
from dsr_jax.errors import UserError
from dsr_jax.files import read_bytes

# Control characters and halves of characters: in no photo's name, no error's line.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def stays_in_folder(name: str) -> bool:
    """Whether a photo's name is that of a file in the folder of photos."""
    path = PurePosixPath(name)
    inside = (
        bool(name.strip("./")) and not path.is_absolute() and ".." not in path.parts
    )
    return inside and not _UNPRINTABLE.search(name)


def printable(name: str) -> str:
    """The name of something in one line, whatever characters a file put into it."""
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], name)


class PhotoFolder:
    """The part of a `PeopleSource` that knows where the files of each person are.

    The label map of photo `a/b.jpg` is `a/b.png` in the folder of labels.
    """

    def __init__(
        self,
        image_names: Sequence[str],
        images: str | os.PathLike[str],
        labels: str | os.PathLike[str] | None = None,
    ):
        """Looks for the folders, and for one label map.

        Args:
          image_names: path of each person's photo, relative to `images`.
          images: the folder of photos.
          labels: the folder of label maps; None, or "", for none.

        Raises:
          UserError: a folder that does not exist, or one of labels with no label map
            for any photo.
        """
        self.image_names = list(image_names)
        self._images, self._labels = Path(images), Path(labels) if labels else None
        unique, photo = np.unique(np.array(self.image_names), return_inverse=True)
        self._photo = photo
        # People of photo p: the rows _by_photo[_starts[p] : _starts[p + 1]].
        self._by_photo = np.argsort(photo, kind="stable")
        counts = np.bincount(photo, minlength=len(unique))
        self._starts = np.append(0, np.cumsum(counts))
        for folder in filter(None, (self._images, self._labels)):
            if not folder.is_dir():
                raise UserError(f"{folder}: no such folder; check the data set's paths")
        paths = (self.label_path(index) for index in range(len(self)))
        if self._labels and not any(path and path.exists() for path in paths):
            raise UserError(
                f"{self._labels}: has no label map for any photo; photo a/b.jpg "
                f"needs a/b.png, here {self.label_path(0)}"
            )

    def __len__(self) -> int:
        return len(self.image_names)

    def image_path(self, index: int) -> Path:
        """Where the photo of a person is."""
        return self._images / self.image_names[index]

    def label_path(self, index: int) -> Path | None:
        """Where the label map of a person's photo would be; None without labels."""
        if self._labels is None:
            return None
        return self._labels / Path(self.image_names[index]).with_suffix(".png")

    def image(self, index: int) -> StoredFile:
        """The photo.

        Raises:
          UserError: it is missing or cannot be read.
        """
        path = self.image_path(index)
        return StoredFile(str(path), read_bytes(path, "image"))

    def label_map(self, index: int) -> StoredFile | None:
        """The label map; None if there is none.

        Raises:
          UserError: it is there and cannot be read.
        """
        path = self.label_path(index)
        if path is None or not path.exists():
            return None
        return StoredFile(str(path), read_bytes(path, "label map"))

    def same_photo(self, index: int) -> Integer[np.ndarray, "P"]:
        """The other people of the same photo, by number."""
        photo = self._photo[index]
        people = self._by_photo[self._starts[photo] : self._starts[photo + 1]]
        return people[people != index]

    def person_name(self, index: int) -> str:
        """The photo's name for its first person, with `#2` for its second."""
        photo = self._photo[index]
        people = self._by_photo[self._starts[photo] : self._starts[photo + 1]]
        place = int(np.searchsorted(people, index))
        return self.image_names[index] + (f"#{place + 1}" if place else "")
