"""The people with the largest errors, beside ordinary ones, as one picture."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Float, UInt8
from dsr_jax.body import BodyMesh, BodyModel, BodyParams, body_joints, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.data import Batch, Person
from dsr_jax.evaluation import Evaluation
from dsr_jax.regressor import Prediction
from dsr_jax.training.validation import EvaluationSet, Look
from dsr_jax.visualization import draw_keypoints, overlay_body, panel

# Small crops are enlarged so that the drawn body is crisp.
_SMALLEST_SIDE = 192
_TRUTH_COLOUR = (150, 208, 150)  # RGB
_LETTERS = 26
# Fewer keypoints do not hold a camera.
_FEWEST_KEYPOINTS = 4


def error_gallery(
    test: EvaluationSet, result: Evaluation, look: Look, count: int
) -> UInt8[np.ndarray, "H W 3"]:
    """Photo, prediction and truth of the worst people, and beside them of median ones.

    The worst have the largest MPJPE; the median ones are those around the middle of the
    order. A true body is drawn with the camera that explains the annotated keypoints
    best, else at the place of the prediction; true joints as their 2D keypoints.

    Args:
      test: what was measured.
      result: of this regressor on it.
      look: the regressor, see `compiled_regressor`.
      count: rows at most.
    """
    order = np.argsort(-result.people["mpjpe"], kind="stable")
    count = min(count, len(order))
    first_median = (len(order) - count) // 2
    rows = zip(order, order[first_median:], strict=False)
    pictures: list[UInt8[np.ndarray, "_ _ 3"]] = []
    captions: list[str] = []
    for _, pair in zip(range(count), rows, strict=False):
        for row, kind in zip(pair, ("worst", "median"), strict=True):
            pictures += _person_pictures(test, int(result.people["index"][row]), look)
            error, name = result.people["mpjpe"][row], str(result.people["name"][row])
            captions += [f"{kind} {_caption(error, name)}", "prediction", "truth"]
    return panel(pictures, captions, columns=6)


def _person_pictures(test: EvaluationSet, index: int, look: Look) -> list[np.ndarray]:
    example, person = test.dataset.example(index), test.dataset.person(index)
    prediction = look(jnp.asarray(example.image)[None])
    body = test.bodies.neutral
    mesh = _posed(body, BodyParams(prediction.pose, prediction.betas))
    photo = _enlarged(np.asarray(example.image))
    points = project_weak_to_ndc(mesh.vertices, prediction.camera)[0]
    overlay = overlay_body(photo, points, body.faces)
    return [photo, overlay, _truth(test, example, person, photo, mesh, prediction)]


def _truth(
    test: EvaluationSet,
    example: Batch,
    person: Person,
    photo: UInt8[np.ndarray, "H W 3"],
    predicted: BodyMesh,
    prediction: Prediction,
) -> UInt8[np.ndarray, "H W 3"]:
    if not test.protocol.true_body:
        return draw_keypoints(photo, np.asarray(example.keypoints_ndc))
    body = test.bodies.of(person.gender, test.protocol)
    params = BodyParams(
        jnp.asarray(example.pose)[None], jnp.asarray(example.betas)[None]
    )
    mesh = _posed(body, params)
    vertices, camera = mesh.vertices, _camera(body, mesh, example)
    if camera is None:
        camera = np.asarray(prediction.camera[0])
        vertices = vertices + (predicted.joints[:, :1] - mesh.joints[:, :1])
    points = project_weak_to_ndc(vertices, jnp.asarray(camera)[None])[0]
    return overlay_body(photo, points, body.faces, colour=_TRUTH_COLOUR)


_posed = jax.jit(pose_body)


def _camera(
    body: BodyModel, mesh: BodyMesh, example: Batch
) -> Float[np.ndarray, "3"] | None:
    """The true weak camera, or the one that fits the keypoints; None without either."""
    if np.any(example.camera):
        return np.asarray(example.camera)
    for name, rows in (("joints49", slice(None)), ("gt24", slice(25, None))):
        if name in body.joint_sets:
            joints = np.asarray(body_joints(body, mesh, name)[0], np.float64)
            return fit_weak_camera(joints, np.asarray(example.keypoints_ndc)[rows])
    return None


def fit_weak_camera(
    joints: Float[np.ndarray, "J 3"], keypoints_ndc: Float[np.ndarray, "J 3"]
) -> Float[np.ndarray, "3"] | None:
    """[s, tx, ty] that minimises Σ c |s (x + t) - k|²; None if too little is seen.

    Args:
      joints: metres, camera axes.
      keypoints_ndc: x right, y up, confidence c.
    """
    weights = keypoints_ndc[:, 2].astype(np.float64)
    if np.count_nonzero(weights) < _FEWEST_KEYPOINTS:
        return None
    target = keypoints_ndc[:, :2] * [1, -1]
    middle = np.average(joints[:, :2], axis=0, weights=weights)
    target_middle = np.average(target, axis=0, weights=weights)
    offsets = joints[:, :2] - middle
    spread = (weights[:, None] * offsets**2).sum()
    scale = (weights[:, None] * offsets * (target - target_middle)).sum() / spread
    if not scale > 0:
        return None
    shift = target_middle / scale - middle
    return np.array([scale, *shift], np.float32)


def _caption(error_mm: float, name: str) -> str:
    """The end of a name says the frame."""
    plain = name.encode("ascii", "replace").decode()
    short = plain if len(plain) <= _LETTERS else f"...{plain[-_LETTERS:]}"
    return f"{error_mm:.0f} mm  {short}"


def _enlarged(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    factor = -(-_SMALLEST_SIDE // min(image.shape[:2]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
