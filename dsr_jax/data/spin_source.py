"""People of an annotation file in SPIN's layout, with photos and label maps in folders.

The label map of photo `a/b.jpg` is `a/b.png` in the folder of labels.
"""

from pathlib import Path

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.crop import BOX_PIXELS_PER_SCALE
from dsr_jax.data.person import NEUTRAL, Person, Skipped
from dsr_jax.data.photo_folder import PhotoFolder, printable, stays_in_folder
from dsr_jax.data.photo_names import recording_of
from dsr_jax.data.spin_npz import SpinAnnotations, read_spin_npz
from dsr_jax.errors import UserError


class SpinSource(PhotoFolder):
    """One person for each row of the file, in its order."""

    skipped: tuple[Skipped, ...] = ()

    def __init__(
        self,
        annotations: str | Path,
        images: str | Path,
        labels: str | Path | None = None,
    ):
        """Reads the annotations; photos are read when they are asked for.

        Raises:
          UserError: annotations that cannot be used, a photo outside its folder, a
            folder that does not exist, or a
            folder of labels with no label map for any photo.
        """
        self._rows = read_spin_npz(annotations)
        if not len(self._rows):
            raise UserError(f"{annotations}: holds no person; add some")
        names = [str(name) for name in self._rows.imgname]
        for name in names:
            if not stays_in_folder(name):
                raise UserError(
                    f"{annotations}: imgname '{printable(name)}' leads out of the "
                    "folder of photos or is no file's name; make it relative to that "
                    "folder"
                )
        super().__init__(names, images, labels)
        self._keypoints = _keypoints(self._rows)

    def person(self, index: int) -> Person:
        """Row `index` of the file."""
        rows = self._rows
        pose, shape, has_body = _body(rows, index)
        recording = recording_of(self.image_names[index])
        return Person(
            name=self.person_name(index),
            image_name=self.image_names[index],
            box_center_px=rows.center[index],
            # In float32, as records keep it: both cut the same crop.
            box_side_px=float(BOX_PIXELS_PER_SCALE * rows.scale[index]),
            keypoints_px=self._keypoints[index],
            joints=np.zeros((24, 4), np.float32) if rows.S is None else rows.S[index],
            pose=pose,
            betas=shape,
            has_body=has_body,
            gender=NEUTRAL if rows.gender is None else _gender(rows.gender[index]),
            subject=recording.subject,
            sequence=recording.sequence,
            action=recording.action,
            camera=recording.camera,
        )

    def others(self, index: int) -> Float[np.ndarray, "P 49 3"]:
        """Keypoints of the other rows with the same photo, pixels."""
        return self._keypoints[self.same_photo(index)]


def _keypoints(rows: SpinAnnotations) -> Float[np.ndarray, "N 49 3"]:
    keypoints = np.zeros((len(rows), 49, 3), np.float32)
    if rows.openpose is not None:
        keypoints[:, :25] = rows.openpose
    if rows.part is not None:
        keypoints[:, 25:] = rows.part
    return keypoints


def _body(rows: SpinAnnotations, index: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Axis-angle, shape, and whether they are annotations."""
    given = rows.pose is not None and rows.shape is not None
    if not given or (rows.has_smpl is not None and not rows.has_smpl[index]):
        return np.zeros((24, 3), np.float32), np.zeros(10, np.float32), False
    pose, shape = np.asarray(rows.pose)[index], np.asarray(rows.shape)[index]
    return pose.reshape(24, 3), shape, True


def _gender(text: str) -> str:
    first = str(text).strip().lower()[:1]
    return first if first in ("m", "f") else NEUTRAL
