"""How wrong are the labels at each severity of `ParserNoise`?

    python benchmarks/parser_noise.py

Corrupts the label maps of synthetic people three times over and prints, for each
severity, the pixel accuracy on the person, the mean IoU of the labels that occur, and
the IoU of the silhouettes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from dsr_jax.body import load_body
from dsr_jax.data.synthetic import (
    ParserNoise,
    SyntheticSettings,
    corrupt_labels,
    split_key,
    synthetic_people,
)
from dsr_jax.semantics import NUM_LABELS

SEVERITIES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
PEOPLE, DRAWS = 96, 3


def main() -> None:
    settings = SyntheticSettings(supersampling=1)
    body = load_body("free-lite")
    people = synthetic_people(split_key(0, "train"), PEOPLE, body, settings)
    labels = np.asarray(people.labels)
    corrupt = jax.jit(corrupt_labels, static_argnums=2)
    print("severity  accuracy  mean IoU  silhouette")
    for severity in SEVERITIES:
        noise = ParserNoise.scaled(severity)
        scores = [
            score(
                labels,
                np.asarray(corrupt(jax.random.key(i), jnp.asarray(labels), noise)),
            )
            for i in range(DRAWS)
        ]
        print(f"{severity:8.2f}  " + "  ".join(f"{x:8.3f}" for x in np.mean(scores, 0)))


def score(truth, found):
    """Pixel accuracy on the person, mean IoU, and IoU of the silhouettes."""
    person, either = truth > 0, (truth > 0) | (found > 0)
    ious = [
        np.sum((truth == k) & (found == k)) / np.sum((truth == k) | (found == k))
        for k in range(NUM_LABELS)
        if (truth == k).any()
    ]
    both = np.sum(person & (found > 0))
    return np.mean((truth == found)[person]), np.mean(ious), both / either.sum()


if __name__ == "__main__":
    main()
