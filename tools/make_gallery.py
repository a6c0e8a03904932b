"""Draws the gallery of the README: synthetic people above their label maps.

    python tools/make_gallery.py --output docs/gallery.png
    python tools/make_gallery.py --output docs/synthetic_richer.png --richer \
        --columns 7 --size 120

One minute on two CPU cores. Rendered more finely than training data, with little noise
so that the file stays small, and with fewer truncated and occluded people. `--richer`
switches on what the settings leave off, and adds rows of the labels as a parser gets
them.
"""

import argparse
import dataclasses
import pathlib

import jax.numpy as jnp
import numpy as np

from dsr_jax.body import load_body
from dsr_jax.data import Batch, write_image
from dsr_jax.data.synthetic import (
    ParserNoise,
    SyntheticSettings,
    corrupt_labels,
    split_key,
    synthetic_people,
)
from dsr_jax.semantics import colour_label_map


def richer(settings: SyntheticSettings) -> SyntheticSettings:
    """Much of what is off by default: a showcase, not a training set."""
    return dataclasses.replace(
        settings,
        hair=(("medium", 0.4), ("long", 0.6)),
        hair_sheet_probability=1.0,
        object_probability=0.7,
        bystander_probability=0.3,
        leggings_probability=0.4,
        vest_probability=0.5,
        motion_blur_probability=0.15,
        jpeg_probability=0.3,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--size", type=int, default=176)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--richer", action="store_true")
    arguments = parser.parse_args()
    key = split_key(arguments.seed, "test")
    settings = SyntheticSettings(
        image_size=arguments.size,
        supersampling=3,
        noise=(0.0, 0.006),
        truncation_probability=0.08,
        occluder_probability=0.06,
    )
    if arguments.richer:
        settings = richer(settings)
    count = arguments.columns * arguments.rows
    people = synthetic_people(key, count, load_body("free"), settings)
    write_image(arguments.output, sheet(people, arguments.columns, arguments.richer))
    print(f"wrote {arguments.output}")


def sheet(people: Batch, columns: int, with_noise: bool) -> np.ndarray:
    """Rows of images, of their labels, and of these as a parser gets them."""
    labels = [people.labels]
    if with_noise:
        key = split_key(0, "test")
        labels.append(corrupt_labels(key, jnp.asarray(people.labels), ParserNoise()))
    rows = []
    for start in range(0, len(people.labels), columns):
        chosen = slice(start, start + columns)
        rows.append(np.hstack(list(np.asarray(people.image[chosen]))))
        for maps in labels:
            coloured = [colour_label_map(one) for one in np.asarray(maps[chosen])]
            rows.append(np.hstack(coloured))
    return np.vstack(rows)


if __name__ == "__main__":
    main()
