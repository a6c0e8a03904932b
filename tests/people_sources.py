"""A data set made by hand, in memory and in files, with photos that are not square."""

import dataclasses

import cv2
import numpy as np

from dsr_jax.data import Person, SpinAnnotations, StoredFile, write_spin_npz
from dsr_jax.errors import UserError

WIDTH, HEIGHT = 40, 30


def encoded(pixels, suffix=".jpg"):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def photo_bytes(number, suffix=".jpg"):
    generator = np.random.default_rng(number)
    small = generator.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return encoded(cv2.resize(small, (WIDTH, HEIGHT)), suffix)


def label_bytes(number, size=(HEIGHT, WIDTH)):
    labels = np.zeros(size, np.uint8)
    labels[5:25, 10:30] = 1 + number % 19
    return encoded(labels, ".png")


def make_person(number, **changes):
    """Everything of it is random but its place."""
    generator = np.random.default_rng(1000 + number)
    has_body = number % 3 != 1

    def normal(*shape):
        return generator.normal(size=shape).astype(np.float32)

    keypoints = generator.uniform(2, 28, (49, 3)).astype(np.float32)
    keypoints[:, 2] = generator.integers(0, 2, 49)
    values = dict(
        name=f"photos/{number:03d}.jpg",
        image_name=f"photos/{number:03d}.jpg",
        box_center_px=np.array([20.25, 15.5], np.float32),
        box_side_px=float(np.float32(24 + number / 7)),
        keypoints_px=keypoints,
        joints=np.abs(normal(24, 4)),
        pose=normal(24, 3) if has_body else np.zeros((24, 3), np.float32),
        betas=normal(10) if has_body else np.zeros(10, np.float32),
        has_body=has_body,
        gender="nmf"[number % 3],
        subject=f"S{number}",
        sequence="Straße 東京",
        action="walking",
        camera="60457274",
        frame=number * 5 - 1,
        valid=number % 4 != 0,
    )
    return Person(**(values | changes))


@dataclasses.dataclass
class MemorySource:
    """People, photos and label maps in lists; what is an error is raised."""

    people: list
    photos: list
    labels: list
    nearby: dict = dataclasses.field(default_factory=dict)
    skipped: tuple = ()

    def __len__(self):
        return len(self.people)

    def person(self, index):
        return _given(self.people[index])

    def others(self, index):
        return self.nearby.get(index, np.zeros((0, 49, 3), np.float32))

    def image(self, index):
        return StoredFile(f"photo {index}", _given(self.photos[index]))

    def label_map(self, index):
        data = _given(self.labels[index])
        return None if data is None else StoredFile(f"map {index}", data)


def _given(value):
    if isinstance(value, Exception):
        raise value
    return value


def make_source(count=10):
    """Good people; the fourth has no label map, the third has two others beside."""
    labels = [label_bytes(number) for number in range(count)]
    labels[3:4] = [None] * len(labels[3:4])
    beside = np.stack([make_person(50).keypoints_px, make_person(51).keypoints_px])
    return MemorySource(
        people=[make_person(number) for number in range(count)],
        photos=[photo_bytes(number) for number in range(count)],
        labels=labels,
        nearby={2: beside},
    )


def missing_photo(name):
    """What a source raises for a photo that is not there."""
    error = UserError(f"{name}: cannot read this image: No such file or directory")
    error.__cause__ = FileNotFoundError(2, "No such file or directory")
    return error


def write_files(folder, count=6):
    """The same people in SPIN's layout, two of them in one photo."""
    people = [make_person(number) for number in range(count)]
    names = [f"{min(number, count - 2):03d}.jpg" for number in range(count)]
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(count - 1):
        (folder / "images" / f"{number:03d}.jpg").write_bytes(photo_bytes(number))
        (folder / "labels" / f"{number:03d}.png").write_bytes(label_bytes(number))
    write_spin_npz(
        folder / "annotations.npz",
        SpinAnnotations(
            imgname=np.array(names),
            center=np.stack([p.box_center_px for p in people]),
            scale=np.array([p.box_side_px / 200 for p in people], np.float32),
            openpose=np.stack([p.keypoints_px[:25] for p in people]),
            part=np.stack([p.keypoints_px[25:] for p in people]),
            S=np.stack([p.joints for p in people]),
            pose=np.stack([p.pose.reshape(72) for p in people]),
            shape=np.stack([p.betas for p in people]),
            has_smpl=np.array([p.has_body for p in people], np.float32),
        ),
    )
    return folder
