"""Cameras: weak and full perspective projection, pixels, NDC and crops."""

from dsr_jax.camera.crop import (
    Crop,
    crop_camera_to_full,
    crop_ndc_to_image_ndc,
    crop_ndc_to_pixels,
    pixels_to_crop_ndc,
)
from dsr_jax.camera.perspective import (
    centred_intrinsics,
    perspective_to_ndc,
    perspective_to_pixels,
)
from dsr_jax.camera.pixels import ndc_to_pixels, pixels_to_ndc
from dsr_jax.camera.weak import (
    CROP_SIZE,
    FOCAL_LENGTH,
    FOCAL_NDC,
    MINIMUM_DEPTH,
    MINIMUM_SCALE,
    project_weak_to_ndc,
    weak_camera_translation,
)

__all__ = [
    "CROP_SIZE",
    "FOCAL_LENGTH",
    "FOCAL_NDC",
    "MINIMUM_DEPTH",
    "MINIMUM_SCALE",
    "Crop",
    "centred_intrinsics",
    "crop_camera_to_full",
    "crop_ndc_to_image_ndc",
    "crop_ndc_to_pixels",
    "ndc_to_pixels",
    "perspective_to_ndc",
    "perspective_to_pixels",
    "pixels_to_crop_ndc",
    "pixels_to_ndc",
    "project_weak_to_ndc",
    "weak_camera_translation",
]
