"""A record comes back as it was written, and others read it, too."""

import dataclasses
import io

import numpy as np
import pytest

from dsr_jax.data import Person
from dsr_jax.data.records.fields import (
    FIELDS,
    PERSON_FIELDS,
    Record,
    decode_record,
    encode_record,
    image_is_intact,
    record_values,
)
from dsr_jax.errors import UserError
from tests.people_sources import label_bytes, make_person, photo_bytes


def make_record(number, others=2):
    keypoints = [make_person(90 + k).keypoints_px for k in range(others)]
    return Record(
        make_person(number),
        np.array(keypoints, np.float32).reshape(-1, 49, 3),
        photo_bytes(number),
        label_bytes(number) if number % 2 else b"",
    )


def assert_same(first, second):
    for field in dataclasses.fields(Person):
        a, b = (getattr(record.person, field.name) for record in (first, second))
        assert type(a) is type(b), field.name
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.others_px, second.others_px)
    assert first.image == second.image and first.label_map == second.label_map


@pytest.mark.parametrize("number", range(4))
def test_a_record_comes_back(number):
    record = make_record(number, others=number)
    data = encode_record(record)
    assert_same(decode_record(data, "it"), record)
    assert encode_record(make_record(number, others=number)) == data


def test_entries_have_one_order():
    """Prefixes apart, that of their names; protobuf's maps have none of their own."""
    data = encode_record(make_record(1))
    names = sorted(set(FIELDS) - {"image", "image_crc32", "image_name"})
    entries = [bytes([0x0A, len(name)]) + name.encode() for name in names]
    places = [data.index(entry) for entry in entries]
    assert places == sorted(places)


def test_nothing_of_a_person_is_forgotten():
    assert list(PERSON_FIELDS) == [field.name for field in dataclasses.fields(Person)]


def test_bytes_that_look_like_text_or_end_in_zeros_are_kept():
    record = dataclasses.replace(
        make_record(0), image=b"\x00\xff\xfe\x00\x00", label_map=b"\n\x00"
    )
    assert_same(decode_record(encode_record(record), "it"), record)


def test_the_features_of_tfds_read_the_same_values():
    """`tensorflow_datasets`'s own parser knows nothing of ours."""
    from dsr_jax.data.records.features import record_features

    features, record = record_features(), make_record(1)
    values = features.deserialize_example_np(encode_record(record))
    expected = record_values(record)
    assert values.keys() == FIELDS.keys()
    assert values.pop("image").shape == (30, 40, 3)
    for name, value in values.items():
        wanted = expected[name]
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        np.testing.assert_array_equal(value, wanted)


def test_we_read_what_tfds_writes():
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    from dsr_jax.data.records.features import record_example, record_features

    record, features = make_record(2), record_features()
    example = record_example(record)
    assert isinstance(example["image"], io.BytesIO)
    serializer = ExampleSerializer(features.get_serialized_info())
    data = serializer.serialize_example(features.encode_example(example))
    assert_same(decode_record(data, "it"), record)


def test_what_is_no_record_is_refused_by_name():
    from tensorflow_datasets.proto import tf_example_pb2

    good = tf_example_pb2.Example.FromString(encode_record(make_record(1)))

    def changed(change):
        example = tf_example_pb2.Example()
        example.CopyFrom(good)
        change(example.features.feature)
        return example.SerializeToString()

    for data in (
        b"not a record",
        b"",
        changed(lambda f: f.pop("pose")),
        changed(lambda f: f["keypoints_px"].float_list.value.append(0.0)),
        changed(lambda f: f["betas"].float_list.value.__setitem__(0, np.nan)),
        changed(lambda f: f["gender"].bytes_list.value.__setitem__(0, b"x")),
        changed(lambda f: f["name"].bytes_list.value.__setitem__(0, b"\xff")),
    ):
        with pytest.raises(UserError, match=r"^shard 7: no record of a person"):
            decode_record(data, "shard 7")


def test_a_photo_that_was_changed_is_found():
    data = encode_record(make_record(1))
    assert image_is_intact(data)
    place = data.index(photo_bytes(1)) + 100
    assert not image_is_intact(data[:place] + b"\x00\x01" + data[place + 2 :])
