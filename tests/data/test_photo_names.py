"""Names of photos as SPIN's files have them."""

import numpy as np
import pytest

from dsr_jax.data import SpinAnnotations, SpinSource, write_spin_npz
from dsr_jax.data.photo_names import Recording, recording_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "S9_Directions.54138969_000001.jpg",
            Recording("S9", "S9_Directions", "Directions", "54138969"),
        ),
        (
            "images/S11_Walking_1.60457274_000481.jpg",
            Recording("S11", "S11_Walking_1", "Walking", "60457274"),
        ),
        (
            "imageFiles/downtown_arguing_00/image_00012.jpg",
            Recording(sequence="downtown_arguing_00"),
        ),
        (
            "mpi_inf_3dhp_test_set/TS4/imageSequence/img_000010.jpg",
            Recording(subject="TS4", sequence="TS4"),
        ),
        ("train2014/COCO_train2014_000000000009.jpg", Recording()),
        ("S9.jpg", Recording()),
        # A pattern that tries every way to split the word would not come to an end.
        (f"S9_{'a' * 60}!", Recording()),
    ],
)
def test_a_name_says_which_recording(name, expected):
    assert recording_of(name) == expected


def test_spins_rows_know_their_recordings(tmp_path):
    names = ["a.jpg", "images/S9_Eating_2.55011271_000006.jpg"]
    rows = SpinAnnotations(np.array(names), np.ones((2, 2)), np.ones(2))
    write_spin_npz(tmp_path / "rows.npz", rows)
    source = SpinSource(tmp_path / "rows.npz", tmp_path)
    first, second = source.person(0), source.person(1)
    assert (first.subject, first.sequence, first.action) == ("", "", "")
    assert (second.subject, second.sequence) == ("S9", "S9_Eating_2")
    assert (second.action, second.camera) == ("Eating", "55011271")
