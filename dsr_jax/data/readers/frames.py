"""Cuts the videos of Human3.6M and MPI-INF-3DHP into the photos that are read."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2

from dsr_jax.data.image_file import write_image
from dsr_jax.data.people_files import make_folder
from dsr_jax.data.readers.h36m import STEP, photo_name, recording_name
from dsr_jax.data.readers.mpi_inf_3dhp import CAMERAS, TRAINING_STEP
from dsr_jax.errors import UserError, nearest


@dataclasses.dataclass(frozen=True)
class Video:
    """A video, and where its frames go."""

    path: Path
    pattern: str
    """Path of a frame, with `{number:06d}`, counted from 1."""

    def photo(self, frame: int) -> Path:
        """Where a frame, counted from 0, goes."""
        return Path(self.pattern.format(number=frame + 1))


def h36m_videos(root: Path) -> list[Video]:
    """`S9/Videos/Directions 1.54138969.mp4` → `images/S9_Directions_1.….jpg`."""
    videos = []
    for path in sorted(root.glob("S*/Videos/*.mp4")):
        if path.name.startswith("_ALL"):
            continue
        subject = path.relative_to(root).parts[0]
        first = photo_name(subject, *recording_name(path), frame=0)
        pattern = first.replace("_000001.jpg", "_{number:06d}.jpg")
        videos.append(Video(path, str(root / pattern)))
    return videos


def mpi_inf_3dhp_videos(root: Path) -> list[Video]:
    """`S1/Seq1/imageSequence/video_0.avi` → `S1/Seq1/imageFrames/video_0/….jpg`."""
    videos = []
    for path in sorted(root.glob("S[1-8]/Seq[12]/imageSequence/video_*.avi")):
        if path.stem in {f"video_{camera}" for camera in CAMERAS}:
            folder = path.parents[1] / "imageFrames" / path.stem
            videos.append(Video(path, str(folder / "frame_{number:06d}.jpg")))
    return videos


# Where the videos of each data set are, and every how many frames it uses.
KINDS = {
    "h36m": (h36m_videos, STEP),
    "mpi-inf-3dhp": (mpi_inf_3dhp_videos, TRAINING_STEP),
}


def videos_of(kind: str, root: Path) -> tuple[list[Video], int]:
    """The videos of a data set, and every how many frames its reader uses.

    Raises:
      UserError: an unknown kind, or no video in the folder.
    """
    if kind not in KINDS:
        raise UserError(f"no videos are known of '{kind}': {nearest(kind, KINDS)}")
    find, step = KINDS[kind]
    videos = find(root)
    if not videos:
        raise UserError(f"{root}: holds no video of {kind}; see docs/data.md")
    return videos, step


def cut_video(video: Video, step: int) -> int:
    """Writes every `step`-th frame from the first; those that are there stay.

    Returns:
      How many frames the video has.

    Raises:
      UserError: it cannot be read, or the photos cannot be written.
    """
    make_folder(video.photo(0).parent)
    count = 0
    for frame, image in _frames(video.path, step):
        count = frame + 1
        if image is not None and not video.photo(frame).exists():
            write_image(video.photo(frame), image)
    if not count:
        raise UserError(f"{video.path}: not a video that can be read; copy it again")
    return count


def _frames(path: Path, step: int) -> Iterator[tuple[int, "cv2.typing.MatLike | None"]]:
    """Number and RGB image of every frame; None for those between the steps.

    Frames are read one after the other: seeking in a video is not exact.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        frame = 0
        while capture.grab():
            image = None
            if frame % step == 0:
                good, bgr = capture.retrieve()
                if good:
                    image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            yield frame, image
            frame += 1
    finally:
        capture.release()
