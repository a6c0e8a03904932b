"""A data set as users have it: SPIN annotations, a folder of photos, one of labels.

The label map of photo `a/b.jpg` is `a/b.png` in the folder of labels. A photo without
one gives an example whose `has_labels` is 0, and so does one whose label map cleaning
refuses.
"""

import dataclasses
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Float, UInt8
from dsr_jax.data.augmentation import (
    Augmentation,
    AugmentationSettings,
    draw_augmentation,
    flip_example,
    rotate_body,
    scale_channels,
)
from dsr_jax.data.batch import Batch
from dsr_jax.data.crop import (
    BOX_PIXELS_PER_SCALE,
    crop_affine,
    keypoints_to_crop_ndc,
    warp_image,
    warp_labels,
)
from dsr_jax.data.image_file import read_image
from dsr_jax.data.label_files import LabelFiles, LabelFileSettings, LabelTally
from dsr_jax.data.spin_npz import read_spin_npz
from dsr_jax.errors import UserError
from dsr_jax.semantics import CleaningSettings


@dataclasses.dataclass(frozen=True)
class FolderSettings:
    """Where a data set is and how it is cut.

    Attributes:
      annotations: an `.npz` file, see `spin_npz`.
      images: the folder that `imgname` is relative to.
      labels: the folder of label maps; None trains without clothing.
      resolution: side of the crops in pixels.
      label_files: how label maps are read.
      cleaning: how label maps are cleaned.
    """

    annotations: str
    images: str
    labels: str | None = None
    resolution: int = 224
    label_files: LabelFileSettings = dataclasses.field(
        default_factory=LabelFileSettings
    )
    cleaning: CleaningSettings = dataclasses.field(default_factory=CleaningSettings)

    def __post_init__(self):
        if self.resolution < 1:
            raise ValueError("'resolution' must be at least 1")


class FolderDataset:
    """Reads, crops and augments one example at a time; safe to share by threads."""

    def __init__(
        self,
        settings: FolderSettings,
        augmentation: AugmentationSettings | None = None,
    ):
        """Reads the annotations; photos are read when they are asked for.

        Raises:
          UserError: annotations that cannot be used, a folder that does not exist, or a
            folder of labels with no label map for any photo.
        """
        self._settings = settings
        self._augmentation = augmentation
        self._annotations = read_spin_npz(settings.annotations)
        self.label_tally = LabelTally()
        """Which label maps were broken or refused so far."""
        self._label_files = LabelFiles(
            settings.label_files, settings.cleaning, self.label_tally
        )
        _, self._photo = np.unique(self._annotations.imgname, return_inverse=True)
        if not len(self._annotations):
            raise UserError(f"{settings.annotations}: holds no person; add some")
        for folder in filter(None, (settings.images, settings.labels)):
            if not Path(folder).is_dir():
                raise UserError(f"{folder}: no such folder; check the data set's paths")
        names = range(len(self))
        if settings.labels and not any(self._label_path(i).exists() for i in names):
            raise UserError(
                f"{settings.labels}: has no label map for any photo; photo a/b.jpg "
                f"needs a/b.png, here {self._label_path(0)}"
            )

    def __len__(self) -> int:
        return len(self._annotations)

    def example(
        self, index: int, generator: np.random.Generator | None = None
    ) -> Batch:
        """One example without a batch axis.

        Args:
          index: row of the annotations.
          generator: draws the augmentation; without it there is none.

        Raises:
          UserError: the photo or the label map is missing or damaged.
        """
        change = Augmentation()
        if generator is not None and self._augmentation is not None:
            change = draw_augmentation(generator, self._augmentation)
        image = read_image(self._image_path(index))
        affine = self._affine(index, change)
        labels, has_labels = self._labels(index, affine, image.shape[:2])
        pose, betas, has_body = self._body(index)
        pose, joints = rotate_body(pose, self._joints(index), change.rotation)
        resolution = self._settings.resolution
        crop = warp_image(image, affine, resolution)
        example = Batch(
            image=scale_channels(crop, change.channel_factors),
            labels=labels,
            has_labels=np.asarray(has_labels, np.float32),
            keypoints_ndc=keypoints_to_crop_ndc(
                self._keypoints_px(index), affine, resolution
            ),
            joints=joints,
            pose=pose,
            betas=betas,
            has_body=np.asarray(has_body, np.float32),
            camera=np.zeros(3, np.float32),
        )
        return flip_example(example) if change.flip else example

    def _image_path(self, index: int) -> Path:
        return Path(self._settings.images) / str(self._annotations.imgname[index])

    def _label_path(self, index: int) -> Path:
        name = Path(str(self._annotations.imgname[index])).with_suffix(".png")
        return Path(self._settings.labels or "") / name

    def _affine(self, index: int, change: Augmentation) -> Float[np.ndarray, "2 3"]:
        side = BOX_PIXELS_PER_SCALE * float(self._annotations.scale[index])
        return crop_affine(
            self._annotations.center[index],
            side * change.scale,
            self._settings.resolution,
            change.rotation,
        )

    def _labels(
        self, index: int, affine: Float[np.ndarray, "2 3"], image_size: tuple[int, ...]
    ) -> tuple[UInt8[np.ndarray, "R R"], bool]:
        resolution, labels = self._settings.resolution, None
        if self._settings.labels is not None:
            labels = self._label_files.read(
                self._label_path(index),
                index,
                (image_size[0], image_size[1]),
                self._keypoints_px(index),
                BOX_PIXELS_PER_SCALE * float(self._annotations.scale[index]),
                self._others_px(index),
            )
        if labels is None:
            return np.zeros((resolution, resolution), np.uint8), False
        return warp_labels(labels, affine, resolution), True

    def _others_px(self, index: int) -> Float[np.ndarray, "P 49 3"]:
        """Keypoints of the other people of the same photo."""
        rows = np.flatnonzero(self._photo == self._photo[index])
        others = [self._keypoints_px(int(row)) for row in rows if row != index]
        return np.array(others, np.float32).reshape(-1, 49, 3)

    def _keypoints_px(self, index: int) -> Float[np.ndarray, "49 3"]:
        keypoints = np.zeros((49, 3), np.float32)
        if self._annotations.openpose is not None:
            keypoints[:25] = self._annotations.openpose[index]
        if self._annotations.part is not None:
            keypoints[25:] = self._annotations.part[index]
        return keypoints

    def _joints(self, index: int) -> Float[np.ndarray, "24 4"]:
        if self._annotations.S is None:
            return np.zeros((24, 4), np.float32)
        return self._annotations.S[index]

    def _body(
        self, index: int
    ) -> tuple[Float[np.ndarray, "24 3 3"], Float[np.ndarray, "10"], bool]:
        known = self._annotations
        given = known.pose is not None and known.shape is not None
        if not given or (known.has_smpl is not None and not known.has_smpl[index]):
            return np.zeros((24, 3, 3), np.float32), np.zeros(10, np.float32), False
        axis_angle = np.asarray(known.pose)[index].reshape(24, 3)
        matrices = Rotation.from_rotvec(axis_angle).as_matrix().astype(np.float32)
        return matrices, np.asarray(known.shape)[index], True
