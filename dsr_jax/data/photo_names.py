"""What the name of a photo says where an annotation file says nothing else.

SPIN's files have no column for recordings, but keep the names that Human3.6M's and
3DPW's photos have in its preprocessing:

    images/S9_Directions_1.54138969_000001.jpg     subject, action, camera
    imageFiles/downtown_arguing_00/image_00000.jpg recording
    mpi_inf_3dhp_test_set/TS1/imageSequence/img_000001.jpg
"""

import dataclasses
import re

_H36M = re.compile(
    r"(?:.*/)?(S\d+)_([A-Za-z]+(?:_[A-Za-z]+)*(?:_\d+)?)\.(\d{8})_\d+\.\w+"
)
_3DPW = re.compile(r"(?:.*/)?imageFiles/([^/]+)/image_\d+\.\w+")
_MPI_INF_TEST = re.compile(r"(?:.*/)?(TS[1-6])/imageSequence/img_\d+\.\w+")


@dataclasses.dataclass(frozen=True)
class Recording:
    """What a name says; empty where it does not."""

    subject: str = ""
    sequence: str = ""
    action: str = ""
    camera: str = ""


def recording_of(image_name: str) -> Recording:
    """The recording that a photo is from, by its name."""
    if match := _H36M.fullmatch(image_name):
        subject, action, camera = match.groups()
        name = re.sub(r"_\d+$", "", action)
        return Recording(subject, f"{subject}_{action}", name, camera)
    if match := _3DPW.fullmatch(image_name):
        return Recording(sequence=match[1])
    if match := _MPI_INF_TEST.fullmatch(image_name):
        return Recording(subject=match[1], sequence=match[1])
    return Recording()
