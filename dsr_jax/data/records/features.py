"""Records as `tensorflow_datasets` describes them, which needs no TensorFlow."""

import io
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from dsr_jax.data.records.fields import (
    BYTES,
    FIELDS,
    IMAGE,
    INTEGER,
    TEXT,
    TRUTH,
    Field,
    Record,
    record_values,
)


def record_features() -> tfds.features.FeaturesDict:
    """The features of `dataset_info.features`, with their meanings."""
    return tfds.features.FeaturesDict({n: _feature(f) for n, f in FIELDS.items()})


def record_example(record: Record) -> dict[str, Any]:
    """What a builder yields for a record.

    The photo is a file in memory: of an array `tensorflow_datasets` would make an image
    of its own, for which it needs TensorFlow.
    """
    values = record_values(record)
    return {
        name: io.BytesIO(values[name]) if field.kind == IMAGE else values[name]
        for name, field in FIELDS.items()
    }


def _feature(field: Field) -> tfds.features.FeatureConnector:
    meaning = field.meaning
    if field.kind == IMAGE:
        return tfds.features.Image(shape=(None, None, 3), doc=meaning)
    if field.kind == TEXT:
        return tfds.features.Text(doc=meaning)
    types: dict[str, Any] = {BYTES: np.object_, INTEGER: np.int64, TRUTH: np.bool_}
    dtype = types.get(field.kind, np.float32)
    return tfds.features.Tensor(shape=field.shape, dtype=dtype, doc=meaning)
