"""Protocols as data: the field's joints, roots and choice of people."""

import dataclasses

import pytest

from dsr_jax.body import load_body
from dsr_jax.errors import UserError
from dsr_jax.evaluation import PROTOCOLS, Chosen, protocol_by_name
from dsr_jax.evaluation.people import measured_people
from dsr_jax.evaluation.protocol import SMPL24
from tests.evaluation.fake_people import FakePeople, fake_people


def test_protocols_are_complete_and_named():
    body = load_body("free-lite")
    assert set(PROTOCOLS) == {
        *("synthetic", "folder", "3dpw", "3dpw-all", "h36m-p1", "h36m-p2"),
        *("mpi-inf-3dhp", "agora-like", "emdb-like"),
    }
    names = body.joint_sets["h36m17"].names
    annotated = body.joint_sets["gt24"].names
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert all(protocol.lines())
        hips = protocol.on_hips()
        assert "hips' midpoint" in "\n".join(hips.lines())
        if protocol.joint_set == SMPL24:
            assert protocol.root == (1, 2)
            continue
        assert [names[i] for i in protocol.root] == ["pelvis"]
        assert {names[i] for i in hips.root} == {"left_hip", "right_hip"}
        assert {annotated[i] for i in hips.annotated_root} <= {"left_hip", "right_hip"}
        # The same joint on both sides, under whatever addition a data set makes.
        for joint, row in zip(protocol.joints, protocol.annotated_joints, strict=False):
            assert names[joint].split("_")[0] == annotated[row].split("_")[0]
    gendered = {name for name, p in PROTOCOLS.items() if p.gender == "annotation"}
    assert gendered == {"3dpw", "3dpw-all", "agora-like", "emdb-like"}


def test_mistakes_in_a_protocol_are_refused():
    with pytest.raises(UserError, match="did you mean 'h36m-p1'"):
        protocol_by_name("h36m_p1")
    h36m = PROTOCOLS["h36m-p1"]
    for message, change in {
        "differ in number": {"joints": (1, 2)},
        "annotated_root": {"annotated_root": ()},
        "gender is 'male'": {"gender": "male"},
        "group_by is 'camera'": {"group_by": "camera"},
    }.items():
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(h36m, **change)
    with pytest.raises(ValueError, match="where are the hips of lsp14"):
        dataclasses.replace(h36m, joint_set="lsp14").on_hips()


def chosen_names(name, **fields):
    count = len(next(iter(fields.values())))
    dataset = FakePeople(fake_people(count, **fields))
    people = measured_people(dataset, PROTOCOLS[name])
    return [int(i) for i in people.index], people


def test_human36m_chooses_subjects_frames_and_the_frontal_camera():
    fields = {
        "subject": ["S9", "S11", "S8", "S9", "S9", "S11"],
        "camera": ["60457274", "54138969", "60457274", "60457274", "55011271", ""],
        "frame": [0, 5, 0, 3, 10, 15],
    }
    first, people = chosen_names("h36m-p1", **fields)
    assert first == [0, 1, 4, 5] and not people.unchecked
    assert people.left_out == {"another subject": 1, "another frame": 1}
    second, people = chosen_names("h36m-p2", **fields)
    assert second == [0, 5]
    assert people.left_out["another camera"] == 2
    # A file that was made for the protocol does not name cameras: said, not hidden.
    assert people.unchecked == {"camera": 1}


def test_what_the_data_set_does_not_say_is_counted():
    _, people = chosen_names("h36m-p2", sequence=["", "", ""])
    assert people.unchecked == {"subject": 3, "camera": 3, "frame": 3}
    _, people = chosen_names("3dpw", sequence=["", ""])
    assert people.unchecked == {}


def test_invalid_frames_of_3dpw_and_mpi_inf():
    valid = [True, False, True]
    for name in ("3dpw", "mpi-inf-3dhp"):
        assert chosen_names(name, valid=valid)[0] == [0, 2]
    assert chosen_names("3dpw-all", valid=valid)[0] == [0, 1, 2]


def test_words_say_what_is_chosen():
    chosen = Chosen(subjects=("S9",), cameras=("1",), every=5)
    assert chosen.words() == "valid frames; subjects S9; cameras 1; every 5th frame"
    assert Chosen(only_valid=False).words() == "all frames, valid or not"
