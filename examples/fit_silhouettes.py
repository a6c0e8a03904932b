"""A sphere becomes a body: a mesh and its colours from silhouettes and pictures alone.

    python examples/fit_silhouettes.py --output fit.gif      # a minute on 2 CPU cores

Eight cameras see a coloured body. A sphere of 1 280 triangles is moved vertex by vertex
until it looks the same: the gradient of the soft images says where. Edges are wide at
first (a large sigma reaches far) and sharpen. Writes an animation of the target and
the fit, and prints the silhouettes' overlap. Of the package it uses the rasterizer,
and a body as the thing to be copied.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import trimesh
from PIL import Image
from tqdm import tqdm

from dsr_jax.body import load_body
from dsr_jax.rasterizer import RasterSettings, rasterize

VIEWS, SIZE, DISTANCE, FOCAL = 8, 96, 3.0, 2.8
SIGMA_FIRST, SIGMA_LAST = 1e-3, 3e-5


def cameras() -> np.ndarray:
    """(VIEWS, 3, 3) rotations: a ring of cameras, every other one looking down."""
    rotations = []
    for view in range(VIEWS):
        turn, tilt = 2 * np.pi * view / VIEWS, 0.5 * (view % 2)
        c, s, d, e = np.cos(turn), np.sin(turn), np.cos(tilt), np.sin(tilt)
        around_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        around_x = np.array([[1, 0, 0], [0, d, -e], [0, e, d]])
        rotations.append(around_x @ around_y)
    return np.stack(rotations).astype(np.float32)


def project(vertices: jax.Array, rotations: np.ndarray) -> jax.Array:
    """(V, 3) in the world → (VIEWS, V, 3) NDC x, y and depth."""
    turned = jnp.einsum("nij,vj->nvi", rotations, vertices, precision="highest")
    depth = DISTANCE - turned[..., 2:]
    return jnp.concatenate([FOCAL * turned[..., :2] / depth, depth], -1)


def draw(vertices, faces, colors, sigma: float):
    """Images (VIEWS, SIZE, SIZE, 4): red, green, blue on black, and alpha."""
    settings = RasterSettings(
        image_size=(SIZE, SIZE), sigma=sigma, gamma=1e-3, near=0.5, far=10.0
    )
    raster = rasterize(vertices, faces, settings, vertex_attributes=colors)
    return jnp.concatenate([raster.attributes, raster.alpha[..., None]], -1)


def target() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A body one unit tall, coloured by where its vertices lie."""
    body = load_body("free-lite")
    vertices = np.asarray(body.template)
    vertices = vertices - (vertices.max(0) + vertices.min(0)) / 2
    vertices = vertices / np.abs(vertices).max()
    colors = 0.5 + 0.5 * np.sin(vertices * [5, 9, 7] + [0, 1, 2])
    return vertices.astype(np.float32), np.asarray(body.faces), colors.astype("f4")


def smoothness(mesh: trimesh.Trimesh):
    """A function: how far vertices lie from the middle of their neighbours."""
    first, second = mesh.edges_unique.T
    degree = np.bincount(np.r_[first, second], minlength=len(mesh.vertices))

    def penalty(vertices):
        total = jnp.zeros_like(vertices)
        total = total.at[first].add(vertices[second]).at[second].add(vertices[first])
        return jnp.mean(jnp.square(total / degree[:, None] - vertices))

    return penalty


def overlap(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Intersection over union of the silhouettes."""
    both, any_ = (ours > 0.5) & (theirs > 0.5), (ours > 0.5) | (theirs > 0.5)
    return float(both.sum() / any_.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("fit.gif"))
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    rotations = cameras()
    goal_vertices, goal_faces, goal_colors = target()
    goal_screen = project(jnp.asarray(goal_vertices), rotations)
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    faces, penalty = jnp.asarray(sphere.faces, jnp.int32), smoothness(sphere)
    start = jnp.asarray(sphere.vertices, jnp.float32)
    fit = {"offset": jnp.zeros_like(start), "color": jnp.zeros_like(start)}
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, arguments.steps, 0.1))
    state = optimizer.init(fit)

    # Sigma is part of the compiled program: a few stages, not a new one each step.
    stages = np.geomspace(SIGMA_FIRST, SIGMA_LAST, 4)
    frames, images = [], None
    bar = tqdm(total=arguments.steps, desc="fitting")
    for number, sigma in enumerate(map(float, stages)):
        goal = draw(goal_screen, jnp.asarray(goal_faces), goal_colors, sigma)

        def loss(fit, sigma=sigma, goal=goal):
            vertices = start + fit["offset"]
            colors = jax.nn.sigmoid(10 * fit["color"])
            images = draw(project(vertices, rotations), faces, colors, sigma)
            weight = 40 * (sigma / SIGMA_FIRST) ** 0.6
            return jnp.mean(jnp.square(images - goal)) + weight * penalty(
                vertices
            ), images

        @jax.jit
        def step(fit, state, loss=loss):
            (value, images), gradient = jax.value_and_grad(loss, has_aux=True)(fit)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(fit, updates), state, value, images

        first, last = (arguments.steps * i // len(stages) for i in (number, number + 1))
        for index in range(first, last):
            fit, state, value, images = step(fit, state)
            if index % max(arguments.steps // 40, 1) == 0 or index == last - 1:
                frames.append(_frame(np.asarray(images), np.asarray(goal)))
            bar.update()
            bar.set_postfix_str(f"loss {float(value):.5f}, sigma {sigma:.0e}")
    bar.close()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        arguments.output, save_all=True, append_images=frames[1:], duration=120, loop=0
    )
    frames[-1].save(arguments.output.with_suffix(".png"))
    if images is not None:
        share = overlap(np.asarray(images)[..., 3], np.asarray(goal)[..., 3])
        print(f"overlap of the silhouettes: {share:.3f}; wrote {arguments.output}")


def _frame(images: np.ndarray, goal: np.ndarray) -> Image.Image:
    """Four views of the target above, of the fit below."""
    chosen = [0, 1, 2, 3]
    rows = [np.concatenate(list(a[chosen, ..., :3]), 1) for a in (goal, images)]
    pixels = (np.clip(np.concatenate(rows, 0), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2))


if __name__ == "__main__":
    main()
