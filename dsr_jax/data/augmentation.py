"""Random changes of a training example, the same in every one of its annotations.

The values and clips are SPIN's, which the released code of DSR keeps. Everything is
drawn from a NumPy generator, so that an example's seed fixes its augmentation.
"""

import dataclasses

import cv2
import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.body import JOINT_FLIP, KEYPOINT_FLIP_49
from dsr_jax.data.batch import Batch
from dsr_jax.semantics import flip_label_map

# The last 24 of the 49 keypoints are the 3D joints.
_JOINTS_24_FLIP = np.asarray(KEYPOINT_FLIP_49)[25:] - 25
_MIRROR = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class AugmentationSettings:
    """How strongly examples are changed; the defaults are SPIN's.

    Attributes:
      flip_probability: how often an example is mirrored.
      channel_noise: each colour channel is multiplied by a factor from
        U(1 - noise, 1 + noise).
      rotation_std_degrees: standard deviation of the rotation, clipped at twice that.
      no_rotation_probability: how often there is none.
      scale_std: standard deviation of the box's factor around 1, clipped at 1 ± that.
    """

    flip_probability: float = 0.5
    channel_noise: float = 0.4
    rotation_std_degrees: float = 30.0
    no_rotation_probability: float = 0.6
    scale_std: float = 0.25

    def __post_init__(self):
        for name in ("flip_probability", "no_rotation_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"'{name}' must lie in [0, 1]")
        for name in ("channel_noise", "scale_std"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"'{name}' must lie in [0, 1)")
        if self.rotation_std_degrees < 0:
            raise ValueError("'rotation_std_degrees' must not be negative")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to one example; the defaults change nothing."""

    flip: bool = False
    channel_factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rotation: float = 0.0
    """Radians by which the content turns, clockwise on the screen, before the flip."""
    scale: float = 1.0
    """Factor of the box's side."""


def draw_augmentation(
    generator: np.random.Generator, settings: AugmentationSettings
) -> Augmentation:
    """Draws one example's augmentation; always the same number of random values."""
    flip = generator.random() < settings.flip_probability
    factors = generator.uniform(
        1 - settings.channel_noise, 1 + settings.channel_noise, 3
    )
    rotates = generator.random() >= settings.no_rotation_probability
    rotation = min(max(generator.standard_normal(), -2.0), 2.0) * rotates
    scale = 1 + settings.scale_std * min(max(generator.standard_normal(), -1.0), 1.0)
    return Augmentation(
        flip=bool(flip),
        channel_factors=(float(factors[0]), float(factors[1]), float(factors[2])),
        rotation=float(np.deg2rad(settings.rotation_std_degrees * rotation)),
        scale=float(scale),
    )


def scale_channels(
    image: UInt8[np.ndarray, "H W 3"], factors: tuple[float, float, float]
) -> UInt8[np.ndarray, "H W 3"]:
    """Multiplies the colour channels, rounded and clipped to 0 … 255."""
    if factors == (1.0, 1.0, 1.0):
        return image
    levels = np.arange(256)[:, None] * np.asarray(factors)
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return cv2.LUT(image, table[None])


def rotate_body(
    pose: Float[np.ndarray, "24 3 3"],
    joints: Float[np.ndarray, "24 4"],
    rotation: float,
) -> tuple[Float[np.ndarray, "24 3 3"], Float[np.ndarray, "24 4"]]:
    """Turns global orientation and 3D joints about the camera's viewing axis.

    With x right and y down, a positive rotation about z is clockwise on the screen, as
    the image's is. The joints turn about the origin of their axes.
    """
    cosine, sine = np.cos(rotation), np.sin(rotation)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
    turned_pose, turned_joints = pose.copy(), joints.copy()
    turned_pose[0] = turn @ pose[0]
    turned_joints[:, :3] = joints[:, :3] @ turn.T
    return turned_pose, turned_joints


def flip_example(example: Batch) -> Batch:
    """One example (no batch axis) as seen in a mirror: left and right change names.

    Shape coefficients stay: a mirrored body is taken to have the same ones. A known
    camera keeps its scale and height.
    """
    side = np.array([-1, 1, 1], np.float32)
    return dataclasses.replace(
        example,
        image=cv2.flip(np.asarray(example.image), 1),
        labels=flip_label_map(np.asarray(example.labels)),
        keypoints_ndc=np.asarray(example.keypoints_ndc)[KEYPOINT_FLIP_49] * side,
        joints=np.asarray(example.joints)[_JOINTS_24_FLIP] * np.append(side, 1),
        pose=_MIRROR @ np.asarray(example.pose)[JOINT_FLIP] @ _MIRROR,
        camera=np.asarray(example.camera) * np.array([1, -1, 1], np.float32),
    )
