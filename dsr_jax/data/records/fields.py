"""What a record holds: a person, the others of the photo, the photo and the label map.

A record is a `tf.train.Example`, which many programs read. The photo and the label map
are in it as their files are on disk, byte for byte.
"""

import dataclasses
import zlib
from typing import Any

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.data.person import Person
from dsr_jax.errors import UserError

# Readers take records of their own first number.
VERSION = "1.0.0"

TEXT, BYTES, IMAGE, INTEGER, REAL, TRUTH = "text", "bytes", "image", "int", "float", "?"


@dataclasses.dataclass(frozen=True)
class Field:
    """One entry of a record."""

    kind: str
    """`TEXT` (UTF-8), `BYTES`, `IMAGE` (an encoded one), `INTEGER`, `REAL` (float32) or
    `TRUTH`."""
    meaning: str
    shape: tuple[int | None, ...] = ()
    """None: any number."""


PERSON_FIELDS = {
    "name": Field(TEXT, "unique in the split"),
    "image_name": Field(TEXT, "path of the photo in its data set"),
    "box_center_px": Field(REAL, "u, v of the square box, pixels of the photo", (2,)),
    "box_side_px": Field(REAL, "side of the box, pixels"),
    "keypoints_px": Field(
        REAL, "u, v, confidence: OpenPose's 25, ground truth's 24", (49, 3)
    ),
    "joints": Field(REAL, "metres, camera axes, and confidence", (24, 4)),
    "pose": Field(REAL, "axis-angle, radians", (24, 3)),
    "betas": Field(REAL, "shape coefficients", (10,)),
    "has_body": Field(TRUTH, "whether pose and betas are annotations"),
    "gender": Field(TEXT, "of the body that betas belong to: n, m or f"),
    "subject": Field(TEXT, "who it is, or empty"),
    "sequence": Field(TEXT, "the recording, or empty"),
    "action": Field(TEXT, "what is being done, or empty"),
    "camera": Field(TEXT, "which of several cameras, or empty"),
    "frame": Field(INTEGER, "number in the recording, or -1"),
    "valid": Field(TRUTH, "false where the data set calls the annotation unreliable"),
}
FIELDS = PERSON_FIELDS | {
    "others_px": Field(
        REAL, "keypoints of the other people of the photo", (None, 49, 3)
    ),
    "image": Field(IMAGE, "the photo's file, unchanged"),
    "image_crc32": Field(INTEGER, "zlib.crc32 of the photo's file"),
    "label_map": Field(BYTES, "the label map's file, unchanged; empty without one"),
}


@dataclasses.dataclass(frozen=True)
class Record:
    """A person with everything that training needs."""

    person: Person
    others_px: Float[np.ndarray, "P 49 3"]
    """Keypoints of the other people of the photo."""
    image: bytes
    """The photo's file."""
    label_map: bytes
    """The label map's file; b"" without one."""


def record_values(record: Record) -> dict[str, Any]:
    """The record as `FIELDS` name it: numbers, strings, bytes and float32 arrays."""
    values = {name: getattr(record.person, name) for name in PERSON_FIELDS}
    values |= {
        "others_px": record.others_px,
        "image": record.image,
        "image_crc32": zlib.crc32(record.image),
        "label_map": record.label_map,
    }
    return {
        name: np.asarray(values[name], np.float32) if field.shape else values[name]
        for name, field in FIELDS.items()
    }


def encode_record(record: Record) -> bytes:
    """The bytes that are written; the same record gives the same bytes."""
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()
    for name, value in record_values(record).items():
        feature, kind = example.features.feature[name], FIELDS[name].kind
        if kind == REAL:
            feature.float_list.value.extend(np.ravel(value).tolist())
        elif kind in (INTEGER, TRUTH):
            feature.int64_list.value.append(int(value))
        else:
            data = value.encode() if kind == TEXT else value
            feature.bytes_list.value.append(data)
    # A map has no order of its own.
    return example.SerializeToString(deterministic=True)


def decode_record(data: bytes, what: str) -> Record:
    """The record of `encode_record`; its photo is not decoded.

    Args:
      data: of one record.
      what: names it in errors.

    Raises:
      UserError: it is no record of a person, or its values cannot be used.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        features = tf_example_pb2.Example.FromString(data).features.feature
        values = {name: _value(features[name], FIELDS[name]) for name in FIELDS}
        person = Person(**{name: values[name] for name in PERSON_FIELDS})
    except (DecodeError, IndexError, ValueError) as error:
        raise UserError(
            f"{what}: no record of a person, or of another version: {error}; build the "
            "records anew with tools/build_records.py"
        ) from error
    return Record(person, values["others_px"], values["image"], values["label_map"])


def _value(feature: Any, field: Field) -> Any:
    """One entry; an index or value error if it is not what `field` says."""
    if field.kind == REAL:
        numbers = np.array(feature.float_list.value, np.float32)
        if not field.shape:
            return float(numbers[0])
        return numbers.reshape([-1 if n is None else n for n in field.shape])
    if field.kind in (INTEGER, TRUTH):
        number = feature.int64_list.value[0]
        return bool(number) if field.kind == TRUTH else number
    data = feature.bytes_list.value[0]
    return data.decode() if field.kind == TEXT else data


def image_is_intact(data: bytes) -> bool:
    """Whether the photo of an encoded record has the checksum beside it."""
    from tensorflow_datasets.proto import tf_example_pb2

    features = tf_example_pb2.Example.FromString(data).features.feature
    stored = features["image_crc32"].int64_list.value
    image = features["image"].bytes_list.value
    return len(stored) == len(image) == 1 and zlib.crc32(image[0]) == stored[0]
