"""Label maps of people made of thick lines, with their OpenPose keypoints."""

import itertools

import cv2
import numpy as np

from dsr_jax.body.keypoints import OPENPOSE_NAMES_25
from dsr_jax.semantics import CIHP

SIDE = 224
_TRUNK, _ARM, _LEG = 55, 30, 40
_SIDES = {"right": -1, "left": 1}


def stick_person(generator, size=(SIDE, SIDE), offset=(0, 0)):
    """Labels (H, W) and keypoints (25, 3) of someone facing the camera, 170 px tall."""
    hips = np.array([SIDE / 2, 115.0]) + offset
    points = _joints(generator, hips)
    labels = np.zeros(size, np.uint8)
    _paint_trunk(labels, points)
    for side in _SIDES:
        _line(labels, points, (f"{side}_hip", f"{side}_knee"), "pants", 13)
        _line(labels, points, (f"{side}_knee", f"{side}_ankle"), f"{side}-leg", 11)
        _line(labels, points, (f"{side}_shoulder", f"{side}_elbow"), f"{side}-arm", 10)
        _line(labels, points, (f"{side}_elbow", f"{side}_wrist"), f"{side}-arm", 9)
        _disc(labels, points[f"{side}_ankle"] + [0, 4], f"{side}-shoe", 7)
    _disc(labels, points["nose"] - [0, 3], "hair", 14)
    _disc(labels, points["nose"], "face", 10)
    keypoints = np.zeros((25, 3), np.float32)
    for name, place in points.items():
        keypoints[OPENPOSE_NAMES_25.index(name)] = [*place, 0.9]
    return labels, keypoints


def _joints(generator, hips):
    neck = hips - [0, _TRUNK]
    points = {"neck": neck, "mid_hip": hips, "nose": neck - [0, 22]}
    for side, sign in _SIDES.items():
        points[f"{side}_shoulder"] = neck + np.array([sign * 18, 2])
        points[f"{side}_hip"] = hips + np.array([sign * 10, 0])
        for chain, length, spread in (
            (("shoulder", "elbow", "wrist"), _ARM, (0.15, 0.7)),
            (("hip", "knee", "ankle"), _LEG, (0.05, 0.4)),
        ):
            for start, end in itertools.pairwise(chain):
                angle = generator.uniform(*spread)
                step = length * np.array([sign * np.sin(angle), np.cos(angle)])
                points[f"{side}_{end}"] = points[f"{side}_{start}"] + step
    return points


def _paint_trunk(labels, points):
    names = ("right_shoulder", "left_shoulder", "left_hip", "right_hip")
    corners = np.rint([points[name] for name in names]).astype(np.int32)
    cv2.fillPoly(labels, [corners], CIHP.index("upper-clothes"))


def _line(labels, points, ends, label, width):
    start, end = (np.rint(points[name]).astype(int).tolist() for name in ends)
    cv2.line(labels, start, end, CIHP.index(label), width)


def _disc(labels, place, label, radius):
    center = np.rint(place).astype(int).tolist()
    cv2.circle(labels, center, radius, CIHP.index(label), -1)
