"""Learns the semantic prior of a free body from synthetic clothed people.

    python tools/learn_prior.py --body free --people 1000 --views 10 \
        --output dsr_jax/semantics/assets/free.npz

Each person stands in one pose and one outfit before every camera. The visible faces of
the naked body underneath take the labels of the clothed picture, and every view gives
each vertex that it shows one vote (`dsr_jax.semantics.prior_learning`). The people are
of the training split; the same command gives the same file on the same device.
"""

import argparse
import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from dsr_jax.arrays import Array
from dsr_jax.body import BodyModel, load_body
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_views
from dsr_jax.errors import UserError, one_line_errors
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import (
    NUM_LABELS,
    accumulate_label_counts,
    prior_from_counts,
    save_prior,
)

# People rendered together; the last step is never smaller, so that all share a program.
_PEOPLE_A_STEP = 4


def main() -> None:
    """Reads the command line and does the job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", default="free", help="free or free-lite")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--views", type=int, default=10, help="cameras a person")
    parser.add_argument("--image-size", type=int, default=224, help="pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="the .npz to write")
    arguments = parser.parse_args()
    with one_line_errors():
        learn(**vars(arguments))


def learn(
    body: str, people: int, views: int, image_size: int, seed: int, output: Path
) -> None:
    """Renders the people, counts, and writes the prior.

    Raises:
      UserError: a number that is not positive, an unknown body, a missing folder, or a
        part of the body that no view showed.
    """
    for name, value in (("people", people), ("views", views)):
        if value < 1:
            raise UserError(f"--{name} is {value}: give 1 or more")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no such folder; create it first")
    model = load_body(body)
    settings = whole_people(image_size)
    step = math.gcd(people, _PEOPLE_A_STEP)
    counts = jnp.zeros((model.template.shape[0], NUM_LABELS))
    keys = jax.random.split(split_key(seed, "train"), people // step)
    for key in tqdm(keys, desc=f"prior of {body}", unit_scale=step, unit="people"):
        counts = count_labels(counts, key, model, step, views, settings)
        counts.block_until_ready()  # or the bar would show what is queued, not done
    prior = prior_from_counts(counts, model.faces, body)
    save_prior(output, prior)
    seen = np.asarray(prior.counts)
    print(
        f"wrote {output}: {len(seen)} vertices, seen in {np.median(seen):.0f} of "
        f"{people * views} views (median), {int((seen == 0).sum())} in none"
    )


def whole_people(image_size: int) -> SyntheticSettings:
    """People seen from all sides, whole and with nothing in front of them.

    Voting needs labels only, not smooth pictures: one sample a pixel.
    """
    return SyntheticSettings(
        image_size=image_size,
        supersampling=1,
        frontal_probability=0.0,
        truncation_probability=0.0,
        occluder_probability=0.0,
    )


@functools.partial(jax.jit, static_argnums=(3, 4, 5), donate_argnums=0)
def count_labels(
    counts: Array,
    key: Array,
    model: BodyModel,
    people: int,
    views: int,
    settings: SyntheticSettings,
) -> Array:
    """Adds the votes of `people` new people from `views` cameras each."""
    batch, vertices_ndc = synthetic_views(key, people, views, model, settings)
    size = (settings.image_size, settings.image_size)
    hit = visible_faces(vertices_ndc, model.faces, image_size=size)
    labels = jnp.asarray(batch.labels)
    return accumulate_label_counts(counts, hit.face, labels, model.faces)


if __name__ == "__main__":
    main()
