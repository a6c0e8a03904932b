"""Measures the cleaning of label maps on synthetic people, alone and in pairs.

    python tools/write_synthetic.py --count 304 --split validation --seed 7 \
        --output people
    python tools/measure_cleaning.py --people people --pairs 300 \
        --picture docs/cleaning.png

A pair is one person with another pasted beside, before or behind them, keypoints off by
1.5 px, and half of those that the other hides taken for uncertain. Its truth is known.
"""

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from dsr_jax.arrays import Bool, Float, UInt8
from dsr_jax.data import PersonBox, read_image
from dsr_jax.errors import UserError
from dsr_jax.files import write_bytes
from dsr_jax.semantics import CIHP, CleaningSettings, clean_labels, read_label_map
from dsr_jax.semantics.cleaning.others import remove_others
from dsr_jax.training.command_line import require, run_script
from dsr_jax.visualization.label_inspection import inspect_labels
from dsr_jax.visualization.labelled_people import LabelledPerson, annotated_people

FLAGS = flags.FLAGS
flags.DEFINE_string("people", None, "Folder that tools/write_synthetic.py has written.")
flags.DEFINE_integer("pairs", 300, "How many pairs.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Another seed makes other pairs.", lower_bound=0)
flags.DEFINE_string("picture", None, "Where a picture of three pairs is written.")

# Background around the people, so that the other fits in beside: pixels.
_BORDER = 100
_KEYPOINT_ERROR_PX = 1.5
_WORSE = 0.01

METHODS = {
    "none": CleaningSettings(others="none"),
    "keypoint_box": CleaningSettings(others="keypoint_box"),
    "components": CleaningSettings(split_touching=False),
    "components, other known": CleaningSettings(),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Single:
    """A person with a label map of nobody else."""

    photo: UInt8[np.ndarray, "S S 3"]
    labels: UInt8[np.ndarray, "S S"]
    keypoints_px: Float[np.ndarray, "49 3"]


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """Two people in one photo."""

    photo: UInt8[np.ndarray, "H W 3"]
    labels: UInt8[np.ndarray, "H W"]
    truth: Bool[np.ndarray, "H W"]
    """Where the first is seen."""
    keypoints_px: Float[np.ndarray, "49 3"]
    other_px: Float[np.ndarray, "1 49 3"]
    touching: bool


def main(_: list[str]) -> None:
    """People → refusals; pairs → what each method keeps; a picture."""
    require(people=FLAGS.people)
    people = _read(Path(FLAGS.people))
    side = float(people[0].labels.shape[0])
    print(_refusals(people))
    generator = np.random.default_rng(FLAGS.seed)
    pairs = [_pair(people, generator) for _ in range(FLAGS.pairs)]
    for touching in (False, True):
        chosen = [pair for pair in pairs if pair.touching == touching]
        if chosen:
            print(_comparison("touching" if touching else "apart", chosen, side))
    if FLAGS.picture:
        write_bytes(FLAGS.picture, _png(_picture(pairs, side)))


def _read(folder: Path) -> list[Single]:
    people = annotated_people(
        folder / "annotations.npz", folder / "images", folder / "labels"
    )
    singles = [
        Single(read_image(p.photo), read_label_map(p.labels), p.keypoints_px)
        for p in people
        if p.keypoints_px is not None and p.keypoints_px[:, 2].any()
    ]
    singles = [person for person in singles if person.labels.any()]
    if len(singles) < 2:
        raise UserError(
            f"{folder}: has fewer than two people with keypoints and labels; write "
            "more with tools/write_synthetic.py"
        )
    side = len(singles[0].labels)
    for person in singles:
        if not person.labels.shape == person.photo.shape[:2] == (side, side):
            raise UserError(
                f"{folder}: photos and label maps must be squares of one size; write "
                "them with tools/write_synthetic.py"
            )
    return singles


def _refusals(people: list[Single]) -> str:
    """How many right and wrong maps are refused, with the default settings."""
    settings = CleaningSettings()
    cases = {
        "as they are": lambda i: people[i].labels,
        "left and right swapped": lambda i: CIHP.flip[people[i].labels],
        "mirrored": lambda i: people[i].labels[:, ::-1],
        "another person's": lambda i: people[i - 1].labels,
        "a silhouette of ones": lambda i: people[i].labels > 0,
        "one side of the crop missing": lambda i: _half(people[i].labels),
    }
    lines = [f"{len(people)} people alone, refused:"]
    for name, labels_of in cases.items():
        refused = [
            clean_labels(
                labels_of(i).astype(np.uint8), people[i].keypoints_px, settings
            ).refused
            for i in range(len(people))
        ]
        count = sum(reason is not None for reason in refused)
        lines.append(f"  {name:30s} {count:4d}  {100 * count / len(people):5.1f} %")
    return "\n".join(lines)


def _half(labels: UInt8[np.ndarray, "S S"]) -> UInt8[np.ndarray, "S S"]:
    half = labels.copy()
    half[:, : half.shape[1] // 2] = 0
    return half


def _pair(people: list[Single], generator: np.random.Generator) -> Pair:
    own, other = (people[i] for i in generator.choice(len(people), 2, replace=False))
    shift = np.array([generator.integers(20, 100), generator.integers(-15, 16)])
    shift[0] *= generator.choice([-1, 1])
    in_front = bool(generator.random() < 0.5)
    labels, photo = _placed(own, np.zeros(2, int))
    other_labels, other_photo = _placed(other, shift)
    truth = (labels > 0) & ((other_labels == 0) | in_front)
    keypoints, others = own.keypoints_px.copy(), other.keypoints_px.copy()
    keypoints[:, :2] += _BORDER + generator.normal(0, _KEYPOINT_ERROR_PX, (49, 2))
    others[:, :2] += _BORDER + shift + generator.normal(0, _KEYPOINT_ERROR_PX, (49, 2))
    if not in_front:
        last = np.array(labels.shape)[::-1] - 1
        u, v = np.rint(np.clip(keypoints[:, :2], 0, last)).astype(int).T
        hidden = (other_labels[v, u] > 0) & (generator.random(49) < 0.5)
        keypoints[hidden, 2] = 0.1
    merged = np.where(truth, labels, other_labels)
    seen = np.where((truth | (other_labels == 0))[..., None], photo, other_photo)
    near = _grown(labels > 0) & (other_labels > 0)
    return Pair(seen, merged, truth, keypoints, others[None], bool(near.any()))


def _placed(
    person: Single, shift: np.ndarray
) -> tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "H W 3"]]:
    """Labels and photo with a border, moved by (u, v) pixels."""
    around = [(_BORDER + s, _BORDER - s) for s in (int(shift[1]), int(shift[0]))]
    photo = np.pad(person.photo, (*around, (0, 0)), mode="edge")
    return np.pad(person.labels, around), photo


def _grown(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    grown = mask.copy()
    for axis in (0, 1):
        grown |= np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    return grown


def _comparison(name: str, pairs: list[Pair], side: float) -> str:
    """Mean overlap with the truth, and how often a method is worse than the box."""
    if not pairs:
        return f"0 pairs {name}"
    lines = [f"{len(pairs)} pairs {name}:  IoU  lost %  others %  worse than box %"]
    scores = {
        method: np.array([_score(pair, method, side) for pair in pairs])
        for method in METHODS
    }
    for method, score in scores.items():
        difference = score[:, 0] - scores["keypoint_box"][:, 0]
        iou, lost, other = score.mean(0)
        worse = np.mean(difference < -_WORSE)
        lines.append(
            f"  {method:26s} {iou:.3f} {100 * lost:5.2f} {100 * other:7.1f} "
            f"{100 * worse:6.1f}  (at worst {difference.min():+.3f})"
        )
    return "\n".join(lines)


def _score(pair: Pair, method: str, side: float) -> tuple[float, float, float]:
    """Overlap with the truth; the person's part lost; others' kept, as its multiple."""
    clean = remove_others(
        pair.labels, pair.keypoints_px, METHODS[method], side, pair.other_px
    )
    kept, own = clean > 0, pair.truth.sum()
    both = np.sum(kept & pair.truth)
    union = np.sum(kept | pair.truth)
    return both / union, 1 - both / own, np.sum(kept & ~pair.truth) / own


def _picture(pairs: list[Pair], side: float) -> UInt8[np.ndarray, "H W 3"]:
    """Cleaning of the first pair apart, the first touching, and that one swapped."""
    chosen = [
        next((p for p in pairs if p.touching == t), pairs[0]) for t in (False, True)
    ]
    swapped = CIHP.flip[chosen[1].labels].astype(np.uint8)
    chosen.append(dataclasses.replace(chosen[1], labels=swapped))
    sheets = list(_panels(chosen, side))
    height = max(len(sheet) for sheet in sheets)
    return np.concatenate(
        [
            np.pad(s, ((0, height - len(s)), (0, 0), (0, 0)), constant_values=255)
            for s in sheets
        ]
    )


def _png(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """In 256 colours: a quarter of the size, for the documentation."""
    buffer = io.BytesIO()
    few = Image.fromarray(picture).quantize(256)
    few.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _panels(pairs: list[Pair], side: float) -> Iterator[UInt8[np.ndarray, "h W 3"]]:
    middle = _BORDER + (side - 1) / 2
    for pair in pairs:
        person = LabelledPerson(
            name="pair",
            photo=Path(),
            labels=Path(),
            keypoints_px=pair.keypoints_px,
            others_px=pair.other_px,
            box=PersonBox((middle, middle), side),
        )
        picture = inspect_labels(
            person, pair.photo, pair.labels, CleaningSettings()
        ).picture
        if picture is not None:
            yield picture


if __name__ == "__main__":
    run_script(main)
