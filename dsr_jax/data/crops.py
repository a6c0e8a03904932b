"""Training examples: crops of the people of any source, with everything they carry."""

import dataclasses

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
    crop_affine,
    keypoints_to_crop_ndc,
    warp_image,
    warp_labels,
)
from dsr_jax.data.image_file import BrokenImage, decode_image
from dsr_jax.data.label_files import (
    BROKEN,
    STOP,
    LabelFileSettings,
    broken_label_map,
    clean_label_file,
)
from dsr_jax.data.person import PeopleSource, Person
from dsr_jax.data.trouble import BROKEN_PHOTO, Tally, Trouble
from dsr_jax.errors import UserError, nearest
from dsr_jax.semantics import BrokenLabelMap, CleaningSettings


@dataclasses.dataclass(frozen=True)
class CropSettings:
    """How examples are cut from photos.

    Attributes:
      resolution: side of the crops in pixels.
      label_files: how label maps are read.
      cleaning: how label maps are cleaned.
      broken_photos: what a photo that cannot be used does: "stop" ends with one line;
        with "skip" its example is black, weighs nothing in any term and is counted.
    """

    resolution: int = 224
    label_files: LabelFileSettings = dataclasses.field(
        default_factory=LabelFileSettings
    )
    cleaning: CleaningSettings = dataclasses.field(default_factory=CleaningSettings)
    broken_photos: str = STOP

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise ValueError("'resolution' must be at least 1")
        if self.broken_photos not in BROKEN:
            raise ValueError(
                f"broken_photos '{self.broken_photos}' is unknown: "
                f"{nearest(self.broken_photos, BROKEN)}"
            )


class CropDataset:
    """Reads, crops and augments one example at a time; safe to share by threads."""

    def __init__(
        self,
        source: PeopleSource,
        settings: CropSettings,
        augmentation: AugmentationSettings | None = None,
    ):
        self.source = source
        self.settings = settings
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.source)

    @property
    def tally(self) -> Tally:
        """What `example` could not use so far; in this process."""
        # Made when it is asked for: a lock does not go to worker processes.
        return self.__dict__.setdefault("_tally", Tally())

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "_tally"}

    def person(self, index: int) -> Person:
        """Who is in example `index`."""
        return self.source.person(index)

    def example(
        self, index: int, generator: np.random.Generator | None = None
    ) -> Batch:
        """One example without a batch axis; its troubles go to `tally`.

        Args:
          index: number of the person.
          generator: draws the augmentation; without it there is none.

        Raises:
          UserError: a photo or a label map is missing or damaged and is to stop.
        """
        example, troubles = self.read(index, generator)
        self.tally.add(troubles)
        return example

    def read(
        self, index: int, generator: np.random.Generator | None = None
    ) -> tuple[Batch, tuple[Trouble, ...]]:
        """As `example`, with what of it could not be used; `tally` stays as it is."""
        change = Augmentation()
        if generator is not None and self.augmentation is not None:
            change = draw_augmentation(generator, self.augmentation)
        person = self.source.person(index)
        resolution = self.settings.resolution
        try:
            image = decode_image(self.source.image(index))
        except UserError as error:
            return self._nothing(), (self._broken_photo(person, error),)
        affine = crop_affine(
            person.box_center_px,
            person.box_side_px * change.scale,
            resolution,
            change.rotation,
        )
        labels, trouble = self._labels(index, person, affine, image.shape[:2])
        pose, joints = rotate_body(_matrices(person), person.joints, change.rotation)
        crop = warp_image(image, affine, resolution)
        example = Batch(
            image=scale_channels(crop, change.channel_factors),
            labels=np.zeros((resolution,) * 2, np.uint8) if labels is None else labels,
            has_labels=np.asarray(labels is not None, np.float32),
            keypoints_ndc=keypoints_to_crop_ndc(
                person.keypoints_px, affine, resolution
            ),
            joints=joints,
            pose=pose,
            betas=np.asarray(person.betas, np.float32),
            has_body=np.asarray(person.has_body, np.float32),
            camera=np.zeros(3, np.float32),
        )
        troubles = () if trouble is None else (trouble,)
        return (flip_example(example) if change.flip else example), troubles

    def _labels(
        self,
        index: int,
        person: Person,
        affine: Float[np.ndarray, "2 3"],
        image_size: tuple[int, ...],
    ) -> tuple[UInt8[np.ndarray, "R R"] | None, Trouble | None]:
        files = self.settings.label_files
        try:
            stored = self.source.label_map(index)
        except UserError as error:
            broken = BrokenLabelMap(str(error), "unreadable")
            return None, broken_label_map(person.image_name, broken, files)
        if stored is None:
            return None, None
        labels, trouble = clean_label_file(
            stored,
            (image_size[0], image_size[1]),
            person,
            self.source.others(index),
            files,
            self.settings.cleaning,
        )
        if labels is None:
            return None, trouble
        return warp_labels(labels, affine, self.settings.resolution), None

    def _broken_photo(self, person: Person, error: UserError) -> Trouble:
        if self.settings.broken_photos == STOP:
            raise error
        reason = error.reason if isinstance(error, BrokenImage) else "unreadable"
        return Trouble(BROKEN_PHOTO, person.image_name, reason, str(error))

    def _nothing(self) -> Batch:
        """An example that weighs nothing."""
        side = self.settings.resolution
        return Batch(
            image=np.zeros((side, side, 3), np.uint8),
            labels=np.zeros((side, side), np.uint8),
            has_labels=np.zeros((), np.float32),
            keypoints_ndc=np.zeros((49, 3), np.float32),
            joints=np.zeros((24, 4), np.float32),
            pose=np.zeros((24, 3, 3), np.float32),
            betas=np.zeros(10, np.float32),
            has_body=np.zeros((), np.float32),
            camera=np.zeros(3, np.float32),
        )


def _matrices(person: Person) -> Float[np.ndarray, "24 3 3"]:
    """Rotation matrices of a person's pose; zeros without one."""
    if not person.has_body:
        return np.zeros((24, 3, 3), np.float32)
    axis_angle = np.asarray(person.pose, np.float64)
    return Rotation.from_rotvec(axis_angle).as_matrix().astype(np.float32)
