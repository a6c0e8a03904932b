"""What a data set says of a person, drawn: box, keypoints, joints, body and labels."""

import dataclasses

import cv2
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Array, Float, UInt8
from dsr_jax.body import BodyModel, BodyParams, body_joints, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data import (
    PeopleSource,
    Person,
    crop_affine,
    keypoints_to_crop_ndc,
    warp_image,
    warp_labels,
)
from dsr_jax.data.image_file import decode_image
from dsr_jax.semantics import Taxonomy, decode_label_map
from dsr_jax.visualization.annotations import draw_keypoints, overlay_labels
from dsr_jax.visualization.body_picture import overlay_body
from dsr_jax.visualization.fitted_camera import fit_weak_camera
from dsr_jax.visualization.label_panel import written
from dsr_jax.visualization.panel import panel

SIDE = 320
_BOX, _OTHERS, _ABSENT = (255, 208, 0), (255, 255, 255), 232  # RGB, RGB, grey
# Of a keypoint that counts.
_CONFIDENCE = 0.3


@dataclasses.dataclass(frozen=True)
class _Crop:
    """A person cut out."""

    image: UInt8[np.ndarray, "R R 3"]
    keypoints_ndc: Float[np.ndarray, "49 3"]


def draw_person(
    source: PeopleSource, index: int, body: BodyModel, taxonomy: Taxonomy
) -> UInt8[np.ndarray, "H W 3"]:
    """Five pictures in a row above lines of text.

    The photo with the person's box, and others' keypoints in white; keypoints; 3D
    joints and the body, each through the weak camera that fits the keypoints best;
    labels. The mean distance of what is projected to the keypoints is written below.

    Args:
      source: a data set.
      index: number of the person.
      body: is posed where the person has a body.
      taxonomy: of the label maps.

    Raises:
      UserError: the photo or the label map cannot be used.
    """
    person = source.person(index)
    image = decode_image(source.image(index))
    affine = crop_affine(person.box_center_px, person.box_side_px, SIDE)
    keypoints = np.asarray(person.keypoints_px, np.float32)
    crop = _Crop(
        warp_image(image, affine, SIDE), keypoints_to_crop_ndc(keypoints, affine, SIDE)
    )
    joints, joints_note = _joints_picture(person, crop)
    posed, body_note = _body_picture(person, crop, body)
    pictures = {
        "photo": _photo_picture(person, image, source.others(index)),
        "keypoints": draw_keypoints(crop.image, crop.keypoints_ndc),
        "3D joints": joints,
        "body": posed,
        "labels": _labels_picture(source, index, crop, affine, image, taxonomy),
    }
    shown = [
        np.full_like(crop.image, _ABSENT) if p is None else p for p in pictures.values()
    ]
    captions = [f"no {n}" if p is None else n for n, p in pictures.items()]
    sheet = panel(shown, captions, gap=4)
    notes = [_words(person), "; ".join(filter(None, (joints_note, body_note)))]
    return np.concatenate([sheet, written([n for n in notes if n], sheet.shape[1])])


def _photo_picture(
    person: Person,
    image: UInt8[np.ndarray, "H W 3"],
    others_px: Float[np.ndarray, "P 49 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The whole photo, made to fit."""
    scale = SIDE / max(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=method))
    for keypoints in np.asarray(others_px):
        for u, v, _ in keypoints[keypoints[:, 2] > _CONFIDENCE] * scale:
            cv2.circle(small, (round(u), round(v)), 2, _OTHERS, -1, cv2.LINE_AA)
    center, half = np.asarray(person.box_center_px), person.box_side_px / 2
    low, high = (np.rint((center + s * half) * scale).astype(int) for s in (-1, 1))
    cv2.rectangle(small, low.tolist(), (high - 1).tolist(), _BOX, 2)
    return small


def _joints_picture(
    person: Person, crop: _Crop
) -> tuple[UInt8[np.ndarray, "R R 3"] | None, str]:
    """The 24 joints where the fitted camera sees them, and how far off they are."""
    joints = np.asarray(person.joints, np.float32)
    counts = joints[:, 3] > 0
    if not counts.any():
        return None, ""
    # Some data sets measure from the camera: bodies are drawn around their own middle.
    points = joints[:, :3] - joints[counts, :3].mean(0)
    goal = crop.keypoints_ndc[25:] * np.where(counts, 1, 0)[:, None]
    camera = fit_weak_camera(points, goal)
    if camera is None:
        return None, "3D joints: too few keypoints for a camera"
    projected = np.asarray(_project(points, camera))
    drawn = np.zeros((49, 3), np.float32)
    drawn[25:] = np.concatenate([projected[:, :2], counts[:, None]], 1)
    picture = draw_keypoints(crop.image, drawn)
    return picture, f"3D joints: {_distance(projected, goal):.1f} px from keypoints"


def _body_picture(
    person: Person, crop: _Crop, body: BodyModel
) -> tuple[UInt8[np.ndarray, "R R 3"] | None, str]:
    """The body where the fitted camera sees it, and how far off its joints are."""
    if not person.has_body:
        return None, ""
    axis_angle = np.asarray(person.pose, np.float64)
    matrices = Rotation.from_rotvec(axis_angle).as_matrix()
    params = BodyParams(
        pose=jnp.asarray(matrices, jnp.float32),
        betas=jnp.asarray(person.betas, jnp.float32),
    )
    mesh = pose_body(body, params)
    joint_set = "joints49" if "joints49" in body.joint_sets else "openpose25"
    joints = np.asarray(body_joints(body, mesh, joint_set))
    goal = crop.keypoints_ndc[: len(joints)]
    camera = fit_weak_camera(joints, goal)
    if camera is None:
        return None, "body: too few keypoints for a camera"
    vertices = _project(np.asarray(mesh.vertices), camera)
    picture = overlay_body(crop.image, vertices, body.faces, opacity=0.85)
    distance = _distance(np.asarray(_project(joints, camera)), goal)
    return picture, f"body: {distance:.1f} px from keypoints"


def _labels_picture(
    source: PeopleSource,
    index: int,
    crop: _Crop,
    affine: Float[np.ndarray, "2 3"],
    image: UInt8[np.ndarray, "H W 3"],
    taxonomy: Taxonomy,
) -> UInt8[np.ndarray, "R R 3"] | None:
    stored = source.label_map(index)
    if stored is None:
        return None
    size = image.shape[0], image.shape[1]
    labels = decode_label_map(stored.data, stored.name, size, taxonomy, void=True)
    return overlay_labels(crop.image, warp_labels(labels, affine, SIDE))


def _project(
    points: Float[np.ndarray, "N 3"], camera: Float[np.ndarray, "3"]
) -> Float[Array, "N 3"]:
    return project_weak_to_ndc(
        jnp.asarray(points, jnp.float32), jnp.asarray(camera, jnp.float32)
    )


def _distance(
    projected: Float[np.ndarray, "N 3"], keypoints_ndc: Float[np.ndarray, "N 3"]
) -> float:
    """Mean, in pixels of the picture, over the keypoints that are there."""
    counts = keypoints_ndc[:, 2] > 0
    apart = projected[counts, :2] - keypoints_ndc[counts, :2]
    return float(np.linalg.norm(apart, axis=1).mean() * SIDE / 2)


def _words(person: Person) -> str:
    """What is known of a person, in letters of ASCII."""
    known = {
        "subject": person.subject,
        "sequence": person.sequence,
        "action": person.action,
        "camera": person.camera,
        "frame": "" if person.frame < 0 else str(person.frame),
        "gender": person.gender if person.has_body else "",
        "": "" if person.valid else "NOT VALID",
    }
    words = [f"{name} {value}".strip() for name, value in known.items() if value]
    return ", ".join([person.name, *words]).encode("ascii", "replace").decode()
