"""Does a learnt prior recover the label frequencies of the people it was learnt from?

    python benchmarks/prior_recovery.py --people 2000 --views 4 --size 112

Learns from the z-buffer's faces and label maps of `size` pixels, as
`tools/learn_prior.py` does, but without smoothing, and compares with an estimate that
shares no code with it: from label maps of twice the resolution, each vertex that no
triangle of the body hides (every triangle is tried) takes the label at the pixel
nearest to it among those that lie on its own triangles. Prints the mean total variation

    TV_v = ½ Σ_l |p_v(l) − q_v(l)|

over the vertices that both saw at least 50 times: learnt and estimated from the same
people (the error of the voting rule), learnt from one half of them and estimated from
the other (with the noise of both samples), and that noise alone, between the estimates
of the halves.
"""

import argparse
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from dsr_jax.body import BodyModel, load_body
from dsr_jax.data.synthetic import split_key, synthetic_views, whole_people
from dsr_jax.rasterizer import visible_faces
from dsr_jax.semantics import NUM_LABELS, accumulate_label_counts

LEAST_SEEN = 50
_PEOPLE_A_STEP = 4
_STEPS_A_REPORT = 50
_FINER = 2
# Metres by which a triangle must be nearer than a vertex to hide it.
_HIDES = 1e-4
# Twice the area in NDC² below which a triangle covers nothing.
_SMALLEST_AREA = 1e-10
# Pixels around a vertex that are looked at, each way.
_REACH = 2


@functools.partial(jax.jit, static_argnames=("views", "size"))
def learnt_counts(key, model: BodyModel, views: int, size: int) -> jax.Array:
    """The votes (V, 20) that a prior would be learnt from."""
    settings = whole_people(size)
    batch, vertices = synthetic_views(key, _PEOPLE_A_STEP, views, model, settings)
    hit = visible_faces(vertices, model.faces, (size, size))
    counts = jnp.zeros((len(model.template), NUM_LABELS))
    labels = jnp.asarray(batch.labels)
    return accumulate_label_counts(
        counts, hit.face, hit.barycentric, labels, model.faces
    )


@functools.partial(jax.jit, static_argnames=("views", "size"))
def estimated_counts(
    key, model: BodyModel, around: jax.Array, views: int, size: int
) -> jax.Array:
    """The same people's votes (V, 20) by the estimate."""
    settings = whole_people(_FINER * size)
    batch, vertices = synthetic_views(key, _PEOPLE_A_STEP, views, model, settings)

    def one(view):
        return vertex_labels(*view, model.faces, around)

    return jax.lax.map(one, (vertices, jnp.asarray(batch.labels))).sum(0)


def vertex_labels(vertices, labels, faces, around) -> jax.Array:
    """One-hot labels (V, 20) of the vertices that a view shows, zeros for the others.

    Args:
      vertices: (V, 3) NDC and depth.
      labels: (S, S) of a square view.
      faces: (F, 3).
      around: (V, K) the triangles at each vertex, see `triangles_around`.
    """
    weights, inverse_depth = _planes(vertices[faces])
    size = labels.shape[0]
    steps = jnp.arange(-_REACH, _REACH + 1)
    down, right = (a.ravel() for a in jnp.meshgrid(steps, steps, indexing="ij"))

    def one(vertex):
        point, index, own = vertex
        here = jnp.array([point[0], point[1], 1.0])
        inside = jnp.all(weights @ here >= 0, 0) & ~jnp.any(faces == index, 1)
        hidden = jnp.any(inside & (inverse_depth @ here > 1 / (point[2] - _HIDES)))
        column = jnp.floor((point[0] + 1) * size / 2).astype(int) + right
        row = jnp.floor((1 - point[1]) * size / 2).astype(int) + down
        x, y = (2 * column + 1 - size) / size, (size - 1 - 2 * row) / size
        centres = jnp.stack([x, y, jnp.ones_like(x)])
        on_own = jnp.any(jnp.all(weights[:, own] @ centres >= 0, 0), 0)
        on_own &= (row >= 0) & (row < size) & (column >= 0) & (column < size)
        squared = jnp.square(x - point[0]) + jnp.square(y - point[1])
        best = jnp.argmin(jnp.where(on_own, squared, jnp.inf))
        seen = ~hidden & on_own[best]
        label = labels[row[best], column[best]].astype(int)
        return jnp.where(seen, jnp.arange(NUM_LABELS) == label, False)

    index = jnp.arange(len(vertices))
    seen = jax.lax.map(one, (vertices, index, around), batch_size=64)
    return seen.astype(jnp.float32)


def _planes(corners) -> tuple[jax.Array, jax.Array]:
    """Barycentric weights (3, F, 3) and 1/z (F, 3) as factors of (x, y, 1)."""
    x, y, z = jnp.moveaxis(corners, -1, 0)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0])
    area -= (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0])
    covers = jnp.abs(area) > _SMALLEST_AREA
    rows = []
    for i, j in ((1, 2), (2, 0), (0, 1)):
        across = x[:, i] * y[:, j] - x[:, j] * y[:, i]
        rows.append(jnp.stack([y[:, i] - y[:, j], x[:, j] - x[:, i], across], -1))
    covers, area = covers[None, :, None], area[None, :, None]
    nowhere = jnp.array([[[0.0, 0.0, -1.0]]])
    weights = jnp.where(covers, jnp.stack(rows) / jnp.where(covers, area, 1), nowhere)
    return weights, jnp.sum(weights / z.T[..., None], 0)


def triangles_around(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """Indices (V, K) of the triangles at each vertex, the first one repeated."""
    lists: list[list[int]] = [[] for _ in range(num_vertices)]
    for face, corners in enumerate(faces):
        for vertex in corners:
            lists[vertex].append(face)
    longest = max(map(len, lists))
    return np.array([(a + (a or [0])[:1] * longest)[:longest] for a in lists])


def total_variation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """TV at the vertices that both counted often enough."""
    often = np.minimum(a.sum(1), b.sum(1)) >= LEAST_SEEN
    p, q = (c[often] / c[often].sum(1, keepdims=True) for c in (a, b))
    return np.abs(p - q).sum(1) / 2


def recovery(body: str, people: int, views: int, size: int) -> dict[str, object]:
    """The figures that the module's docstring lists, printed now and then, too."""
    model = load_body(body)
    around = jnp.asarray(triangles_around(np.asarray(model.faces), len(model.template)))
    # Two halves of the people, (V, 20) each.
    learnt = np.zeros((2, len(model.template), NUM_LABELS))
    estimated = np.zeros_like(learnt)
    steps = people // _PEOPLE_A_STEP
    keys = jax.random.split(split_key(0, "train"), steps)
    for step, key in enumerate(tqdm(keys, unit_scale=_PEOPLE_A_STEP, unit="person")):
        half = step % 2
        learnt[half] += np.asarray(learnt_counts(key, model, views, size))
        estimated[half] += np.asarray(estimated_counts(key, model, around, views, size))
        if (step + 1) % _STEPS_A_REPORT == 0 and step + 1 < steps:
            done = (step + 1) * _PEOPLE_A_STEP
            tqdm.write(f"{done} people: {json.dumps(_figures(learnt, estimated))}")
    return _figures(learnt, estimated)


def _figures(learnt: np.ndarray, estimated: np.ndarray) -> dict[str, object]:
    pairs = {
        "same_people": (learnt.sum(0), estimated.sum(0)),
        "other_half": (learnt[0], estimated[1]),
        "noise_of_halves": (estimated[0], estimated[1]),
    }
    figures: dict[str, object] = {}
    for name, pair in pairs.items():
        variation = total_variation(*pair)
        figures[f"{name}_vertices"] = len(variation)
        if len(variation):
            figures[f"{name}_mean_tv"] = round(float(variation.mean()), 4)
            figures[f"{name}_95_percent"] = round(
                float(np.quantile(variation, 0.95)), 4
            )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--body", default="free-lite")
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--size", type=int, default=112)
    arguments = vars(parser.parse_args())
    device = jax.devices()[0].device_kind
    print(
        json.dumps({**arguments, "device": device, **recovery(**arguments)}, indent=2)
    )


if __name__ == "__main__":
    main()
