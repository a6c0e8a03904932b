"""Synthetic clothed people: images, clothing labels, joints and body parameters."""

from dsr_jax.data.synthetic.generator import (
    SPLITS,
    split_key,
    synthetic_people,
    synthetic_views,
)
from dsr_jax.data.synthetic.parser_noise import ParserNoise, corrupt_labels
from dsr_jax.data.synthetic.settings import SyntheticSettings, whole_people

__all__ = [
    "SPLITS",
    "ParserNoise",
    "SyntheticSettings",
    "corrupt_labels",
    "split_key",
    "synthetic_people",
    "synthetic_views",
    "whole_people",
]
