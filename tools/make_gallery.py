"""Draws the gallery of the README: synthetic people above their label maps.

    python tools/make_gallery.py --output docs/gallery.png

One minute on two CPU cores. Rendered more finely than training data, with little noise
so that the file stays small, and with fewer truncated and occluded people.
"""

import argparse
import pathlib

import numpy as np

from dsr_jax.body import load_body
from dsr_jax.data import write_image
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_people
from dsr_jax.semantics import colour_label_map


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--size", type=int, default=176)
    parser.add_argument("--seed", type=int, default=4)
    arguments = parser.parse_args()
    people = synthetic_people(
        split_key(arguments.seed, "test"),
        arguments.columns * arguments.rows,
        load_body("free"),
        SyntheticSettings(
            image_size=arguments.size,
            supersampling=3,
            noise=(0.0, 0.006),
            truncation_probability=0.08,
            occluder_probability=0.06,
        ),
    )
    rows = []
    for row in range(arguments.rows):
        chosen = slice(row * arguments.columns, (row + 1) * arguments.columns)
        rows.append(np.hstack(list(np.asarray(people.image[chosen]))))
        labels = np.asarray(people.labels[chosen])
        rows.append(np.hstack([colour_label_map(one) for one in labels]))
    write_image(arguments.output, np.vstack(rows))
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
