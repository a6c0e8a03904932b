"""The files of one person found in a photo: two pictures, a mesh and the numbers."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Float, Int, UInt8
from dsr_jax.camera import (
    CROP_SIZE,
    FOCAL_LENGTH,
    FOCAL_NDC,
    Crop,
    crop_camera_to_full,
    crop_ndc_to_image_ndc,
    project_weak_to_ndc,
)
from dsr_jax.data.image_file import write_image
from dsr_jax.data.person_box import PersonBox
from dsr_jax.files import write_bytes
from dsr_jax.rotations import matrix_to_axis_angle
from dsr_jax.visualization.body_picture import overlay_body
from dsr_jax.visualization.mesh_file import export_mesh
from dsr_jax.visualization.side_view import side_view


@dataclasses.dataclass(frozen=True)
class FittedPerson:
    """What a regressor says about one person of a photo; NumPy, no batch axis."""

    box: PersonBox
    """The crop that was looked at."""
    pose: Float[np.ndarray, "24 3 3"]
    betas: Float[np.ndarray, "10"]
    camera: Float[np.ndarray, "3"]
    """Weak camera [s, tx, ty] of the crop."""
    vertices: Float[np.ndarray, "V 3"]
    """Metres, camera axes, not translated."""
    joints: Float[np.ndarray, "24 3"]
    """As `vertices`; the first is the pelvis."""
    faces: Int[np.ndarray, "F 3"]

    @property
    def crop(self) -> Crop:
        """The box as arrays."""
        return Crop(jnp.array(self.box.center_px), jnp.array(self.box.size_px))


def write_person(
    prefix: str | Path, photo: UInt8[np.ndarray, "H W 3"], person: FittedPerson
) -> None:
    """Writes `<prefix>_overlay.png`, `_side.png`, `.glb` and `.npz`, each whole.

    Raises:
      UserError: the folder is missing or cannot be written to.
    """
    size = (photo.shape[0], photo.shape[1])
    camera = jnp.asarray(person.camera)
    in_crop = project_weak_to_ndc(jnp.asarray(person.vertices), camera)
    overlay = overlay_body(
        photo,
        crop_ndc_to_image_ndc(in_crop, person.crop, size),
        person.faces,
        focal_ndc=FOCAL_NDC * person.box.size_px / min(size),
    )
    side = side_view(
        person.vertices, person.faces, person.joints[0], camera, size, person.crop
    )
    write_image(f"{prefix}_overlay.png", overlay)
    write_image(f"{prefix}_side.png", side)
    export_mesh(f"{prefix}.glb", person.vertices, person.faces)
    buffer = io.BytesIO()
    numbers: dict[str, Any] = person_numbers(person, size)
    np.savez(buffer, **numbers)
    write_bytes(f"{prefix}.npz", buffer.getvalue())


def person_numbers(
    person: FittedPerson, image_size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The arrays of the `.npz`, by name.

    `pose` (24, 3, 3) and `pose_axis_angle` (24, 3) radians, `betas` (10,); `vertices`
    (V, 3) and `joints` (24, 3) in metres and camera axes; add `translation` (3,) to see
    them with a camera of `focal_length_px` whose axis goes through the centre of the
    photo of `image_size` (H, W); `weak_camera` [s, tx, ty] of the square crop at
    `box_center_px` of side `box_size_px`.
    """
    focal = FOCAL_LENGTH / CROP_SIZE * person.box.size_px
    translation = crop_camera_to_full(
        jnp.asarray(person.camera), person.crop, image_size, focal
    )
    return {
        "pose": person.pose,
        "pose_axis_angle": np.asarray(matrix_to_axis_angle(jnp.asarray(person.pose))),
        "betas": person.betas,
        "weak_camera": person.camera,
        "translation": np.asarray(translation),
        "focal_length_px": np.array(focal, np.float32),
        "image_size": np.array(image_size),
        "vertices": person.vertices,
        "joints": person.joints,
        "box_center_px": np.array(person.box.center_px, np.float32),
        "box_size_px": np.array(person.box.size_px, np.float32),
    }
