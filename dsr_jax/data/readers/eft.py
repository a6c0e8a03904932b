"""EFT's fits of SMPL to photos: one json a data set, next to that data set's photos.

    {"ver": …, "data": [{"parm_pose": 24 × 3 × 3, "parm_shape": 10, "parm_cam": 3,
      "bbox_scale": side / 200 px, "bbox_center": [u, v], "imageName": "….jpg",
      "joint_validity_openpose18": 18, "smpltype": "smpl", "annotId": COCO's id,
      "gt_keypoint_2d": 49 × 3, "subjectId": …}]}

`annotId`, `gt_keypoint_2d` and `subjectId` are not in every file. Without keypoints,
those of COCO are joined by `annotId`: give `coco`, its person_keypoints json; COCO's
other people then are `others`, too. Rotations are those of the camera's axes (x right,
y down, z away). Bodies are of the neutral SMPL; rows of another `smpltype` are left
out. The files do not say where a pixel's centre lies: boxes and keypoints are taken as
they are. `parm_cam` and `joint_validity_openpose18` are not used.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from dsr_jax.arrays import Float
from dsr_jax.data.crop import BOX_PIXELS_PER_SCALE
from dsr_jax.data.readers.coco import KEYPOINT_ROWS, CocoPeople, numbered, read_coco
from dsr_jax.data.readers.json_file import numbers, read_json_lists
from dsr_jax.data.readers.photographed import PhotographedPeople, photographed_people
from dsr_jax.data.readers.screening import Leftovers, Screening
from dsr_jax.data.readers.table import PeopleTable, to_float32
from dsr_jax.errors import UserError

# EFT writes its matrices from float32.
_ROTATION_TOLERANCE = 1e-3
_WHAT = "EFT file"


def open_eft(
    root: Path,
    split: str,
    labels: Path | None = None,
    broken: str = "stop",
    annotations: str | Path | None = None,
    coco: str | Path | None = None,
    without_keypoints: bool = False,
) -> PhotographedPeople:
    """The people of an EFT file in its order.

    Args:
      root: a folder above the photos.
      split: the photos' folder in `root`, "train2014"; "" if it is `root` itself.
      labels: folder of label maps, `train2014/….png` in it.
      broken: what a broken row does: "stop" or "skip".
      annotations: the json.
      coco: COCO's person keypoints, joined where the json has none.
      without_keypoints: whether rows without keypoints anywhere are used.

    Raises:
      UserError: a file that cannot be used, nobody in it, keypoints missing, or
        something broken with "stop".
    """
    if annotations is None:
        raise UserError("eft: give 'annotations', the path of EFT's json")
    path, leftovers = Path(annotations), Leftovers(broken)
    (data,) = read_json_lists(path, ("data",), _WHAT)
    known = None if coco is None else read_coco(Path(coco), Leftovers(broken))
    rows = _Rows(path, leftovers, known, without_keypoints)
    for index, row in enumerate(data):
        rows.add(index, row)
    table, count = rows.table(split)
    screening = Screening(table, path, leftovers)
    screening.kept[count:] = False
    screening.check()
    return photographed_people(root, [screening], labels, leftovers)


class _Rows:
    """Collects the rows of a file."""

    def __init__(
        self,
        path: Path,
        leftovers: Leftovers,
        coco: CocoPeople | None,
        without_keypoints: bool,
    ):
        self._path, self._leftovers, self._coco = path, leftovers, coco
        self._without_keypoints = without_keypoints
        ids = [] if coco is None else coco.ids
        self._coco_rows = {number: row for row, number in enumerate(ids)}
        self._fitted: dict[int, int] = {}
        self._photos: list[str] = []
        self._subjects: list[str] = []
        self._values: list[tuple[np.ndarray, ...]] = []

    def add(self, index: int, row: Any) -> None:
        """Takes a row, or counts it as left out or broken."""
        what = f"row {index}"
        try:
            if not isinstance(row, dict) or not isinstance(row.get("imageName"), str):
                raise ValueError("it names no photo in 'imageName'")
            what = f"row {index} ({row['imageName']})"
            if row.get("smpltype", "smpl") != "smpl":
                self._leftovers.leave_out(what, f"a body of {row['smpltype']!s:.20}")
                return
            number = _annotation_id(row)
            if number is not None and number in self._fitted:
                raise ValueError(
                    f"its annotId {number} is that of row {self._fitted[number]}, too"
                )
            values = (
                numbers(row, "bbox_center", (2,)),
                BOX_PIXELS_PER_SCALE * numbers(row, "bbox_scale", ()),
                _axis_angle(numbers(row, "parm_pose", (24, 3, 3))),
                numbers(row, "parm_shape", (10,)),
                self._keypoints(row, number),
            )
        except (ValueError, TypeError) as error:
            self._leftovers.broken(self._path, what, str(error))
            return
        if number is not None:
            self._fitted[number] = index
        self._photos.append(row["imageName"])
        self._subjects.append(str(row.get("subjectId", "")))
        self._values.append(values)

    def _keypoints(
        self, row: dict[str, Any], number: int | None
    ) -> Float[np.ndarray, "49 3"]:
        """The row's own keypoints, else COCO's."""
        if "gt_keypoint_2d" in row:
            keypoints = numbers(row, "gt_keypoint_2d", (49, 3))
            keypoints[:, 2] = np.clip(keypoints[:, 2], 0, 1)
            return keypoints
        keypoints = np.zeros((49, 3))
        if self._coco is not None and number in self._coco_rows:
            found = self._coco.keypoints_px[self._coco_rows[number]]
            keypoints[KEYPOINT_ROWS] = found
        elif not self._without_keypoints:
            raise ValueError(
                "it has no 'gt_keypoint_2d', and no keypoints are known by its "
                "annotId: give 'coco', or set 'without_keypoints'"
            )
        return keypoints

    def table(self, folder: str) -> tuple[PeopleTable, int]:
        """Everybody with a fit, then COCO's other people; and the number of the first.

        The others have no box, and only their keypoints are looked at.
        """
        count = len(self._photos)
        photos, others = list(self._photos), np.zeros((0, 49, 3))
        if self._coco is not None:
            rows = [r for n, r in self._coco_rows.items() if n not in self._fitted]
            photos += [self._coco.photos[row] for row in rows]
            others = np.zeros((len(rows), 49, 3))
            others[:, KEYPOINT_ROWS] = self._coco.keypoints_px[rows]
        columns = list(zip(*self._values, strict=True)) if self._values else [[]] * 5
        shapes = ((2,), (), (24, 3), (10,), (49, 3))
        center, side, pose, betas, keypoints = (
            to_float32(np.array(column)).reshape(count, *shape)
            for column, shape in zip(columns, shapes, strict=True)
        )
        more = len(photos) - count
        prefix = f"{folder}/" if folder else ""
        table = PeopleTable(
            image_name=np.array([prefix + photo for photo in photos], str),
            number=numbered(photos),
            box_center_px=_extended(center, more),
            box_side_px=_extended(side, more),
            keypoints_px=to_float32(np.concatenate([keypoints, others])),
            keypoint_rows=np.arange(49),
            pose=_extended(pose, more),
            betas=_extended(betas, more),
            subject=np.array(self._subjects + [""] * more, str),
        )
        return table, count


def _extended(rows: np.ndarray, more: int) -> np.ndarray:
    """The rows, and zeros for those of whom nothing else is known."""
    return np.concatenate([rows, np.zeros((more, *rows.shape[1:]), rows.dtype)])


def _annotation_id(row: dict[str, Any]) -> int | None:
    """COCO's number of the person; other data sets have none, or -1."""
    number = row.get("annotId")
    if isinstance(number, list) and len(number) == 1:
        number = number[0]
    return number if isinstance(number, int) and number >= 0 else None


def _axis_angle(matrices: Float[np.ndarray, "24 3 3"]) -> Float[np.ndarray, "24 3"]:
    square = np.einsum("jik,jlk->jil", matrices, matrices)
    proper = np.abs(square - np.eye(3)).max() < _ROTATION_TOLERANCE
    if not proper or np.linalg.det(matrices).min() < 0:
        raise ValueError("its 'parm_pose' holds matrices that are no rotations")
    return Rotation.from_matrix(matrices).as_rotvec()
