"""A PyTorch data set that does what the released training code does, with OpenCV.

Written from the steps, not from the code: photo read by `cv2.imread` and put in RGB;
the square around the person cut out by slicing, with black where it leaves the photo
and, if it is to be turned, with a margin for its corners; turned as a whole; resized;
mirrored; each channel multiplied and clipped; floats in CHW between 0 and 1; normalised
with ImageNet's mean and deviation. Keypoints go through the crop's matrix, are turned
into -1 … 1 and mirrored; the global orientation is turned by axis and angle.

Two writings of the same steps. "literal": the photo becomes float32 whole, as soon as
it is read, and keypoints go one by one, as they do there. "lean": bytes for as long as
possible and all keypoints at once, as fast as these steps can be.
"""

from pathlib import Path

import cv2
import numpy as np
import torch

from dsr_jax.body import JOINT_FLIP, KEYPOINT_FLIP_49
from dsr_jax.data import AugmentationSettings, read_spin_npz

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
PIXELS_PER_SCALE = 200


class ReleasedPeople(torch.utils.data.Dataset):
    """One augmented example of every row of the annotations."""

    def __init__(self, folder: Path, resolution: int, lean: bool):
        rows = read_spin_npz(folder / "annotations.npz")
        self.names = [str(folder / "images" / name) for name in rows.imgname]
        self.center, self.scale = rows.center, rows.scale
        self.keypoints = np.zeros((len(rows), 49, 3), np.float32)
        self.keypoints[:, 25:] = rows.part
        self.pose, self.betas = rows.pose, rows.shape
        self.resolution, self.lean = resolution, lean
        self.settings = AugmentationSettings()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | float]:
        flip, factors, angle, scale = self._draw()
        center, scale = self.center[index], scale * self.scale[index]
        return {
            "img": self._image(index, center, scale, angle, flip, factors),
            "keypoints": self._keypoints(index, center, scale, angle, flip),
            "pose": torch.from_numpy(self._pose(index, angle, flip)),
            "betas": torch.from_numpy(self.betas[index].astype(np.float32)),
            "pose_3d": torch.zeros(24, 4),
            "scale": float(scale),
            "center": torch.from_numpy(center.astype(np.float32)),
        }

    def _draw(self) -> tuple[bool, np.ndarray, float, float]:
        noise = self.settings.channel_noise
        deviation = self.settings.rotation_std_degrees
        flip = np.random.uniform() <= self.settings.flip_probability  # noqa: NPY002
        factors = np.random.uniform(1 - noise, 1 + noise, 3)  # noqa: NPY002
        normal = np.random.randn(2)  # noqa: NPY002
        angle = np.clip(normal[0], -2, 2) * deviation
        if np.random.uniform() <= self.settings.no_rotation_probability:  # noqa: NPY002
            angle = 0.0
        return flip, factors, angle, 1 + 0.25 * np.clip(normal[1], -1, 1)

    def _image(self, index, center, scale, angle, flip, factors) -> torch.Tensor:
        photo = cv2.imread(self.names[index])
        if not self.lean:
            photo = photo[:, :, ::-1].copy().astype(np.float32)
        crop = _cut(photo, center, scale * PIXELS_PER_SCALE, angle, self.resolution)
        if self.lean:
            crop = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)
        if flip:
            crop = cv2.flip(crop, 1) if self.lean else np.fliplr(crop)
        if self.lean:
            crop = np.clip(crop * factors.astype(np.float32), 0, 255)
        else:
            for channel in range(3):
                scaled = crop[:, :, channel] * factors[channel]
                crop[:, :, channel] = np.minimum(255.0, np.maximum(0.0, scaled))
        floats = np.ascontiguousarray(crop.transpose(2, 0, 1), dtype=np.float32)
        if not self.lean:
            return (torch.from_numpy(floats / 255.0) - MEAN) / DEVIATION
        tensor = torch.from_numpy(floats)
        return tensor.mul_(1 / 255).sub_(MEAN).div_(DEVIATION)

    def _keypoints(self, index, center, scale, angle, flip) -> torch.Tensor:
        points = self.keypoints[index].copy()
        if self.lean:
            matrix = _to_crop(center, scale, angle, self.resolution)
            points[:, :2] = points[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
        else:
            for row in range(len(points)):
                matrix = _to_crop(center, scale, angle, self.resolution)
                place = matrix @ np.array([points[row, 0], points[row, 1], 1.0])
                points[row, :2] = place[:2].astype(int)
        points[:, :2] = 2 * points[:, :2] / self.resolution - 1
        if flip:
            points = points[KEYPOINT_FLIP_49]
            points[:, 0] *= -1
        return torch.from_numpy(points)

    def _pose(self, index, angle, flip) -> np.ndarray:
        pose = self.pose[index].astype(np.float32)
        turn = np.deg2rad(angle)
        rotation, _ = cv2.Rodrigues(np.array([0.0, 0.0, turn]))
        oriented, _ = cv2.Rodrigues(pose[:3].astype(np.float64))
        pose[:3] = cv2.Rodrigues(rotation @ oriented)[0].ravel()
        if flip:
            pose = pose.reshape(24, 3)[JOINT_FLIP] * np.array([1, -1, -1], np.float32)
        return pose.ravel()


def _to_crop(center, scale, angle, resolution) -> np.ndarray:
    """3 × 3: photo pixels to crop pixels."""
    side = PIXELS_PER_SCALE * scale
    matrix = np.zeros((3, 3))
    matrix[0, 0] = matrix[1, 1] = resolution / side
    matrix[:2, 2] = resolution * (0.5 - np.asarray(center) / side)
    matrix[2, 2] = 1
    if angle == 0:
        return matrix
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = -resolution / 2, resolution / 2
    return back @ turn @ there @ matrix


def _cut(photo, center, side, angle, resolution) -> np.ndarray:
    """The square patch with black outside the photo, turned, then resized."""
    margin = int((np.sqrt(2) - 1) * side / 2) if angle else 0
    left, top = (int(c - side / 2) - margin for c in center)
    size = int(side) + 2 * margin
    patch = np.zeros((size, size, 3), photo.dtype)
    height, width = photo.shape[:2]
    x0, x1 = max(0, left), min(width, left + size)
    y0, y1 = max(0, top), min(height, top + size)
    patch[y0 - top : y1 - top, x0 - left : x1 - left] = photo[y0:y1, x0:x1]
    if angle:
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2,) * 2, -angle, 1.0)
        patch = cv2.warpAffine(patch, matrix, (size, size))
        patch = patch[margin : size - margin, margin : size - margin]
    return cv2.resize(patch, (resolution, resolution))


def one_thread(_: int) -> None:
    """For `worker_init_fn`: OpenCV's own threads would fight the workers."""
    cv2.setNumThreads(0)
