"""Axis glossary and array types: one letter, one meaning, in every module.

    B  batch                    N  examples or points of a list
    V  vertices of a mesh       F  faces of a mesh
    J  joints or keypoints      S  shape coefficients (betas)
    C  channels or classes      L  clothing labels of a taxonomy
    H  pixel rows, from the top W  pixel columns, from the left

Frames, all right-handed except the image:

    body     x to the person's left, y up, z forwards, in the rest pose; metres
    camera   x right, y down, z away from the camera; metres; the name ends in `_cam`
    NDC      x right, y up, the shorter image side spans [-1, 1], z is the camera
             depth in metres; the name ends in `_ndc`
    pixel    u right, v down; the centre of the top-left pixel is (0, 0); `_px`

Shapes are written as jaxtyping annotations and are checked at run time in the tests.
"""

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Key, Shaped, UInt8

# What a function that also takes NumPy arrays accepts.
ArrayLike = Array | np.ndarray

__all__ = [
    "Array",
    "ArrayLike",
    "Bool",
    "Float",
    "Int",
    "Integer",
    "Key",
    "Shaped",
    "UInt8",
]
