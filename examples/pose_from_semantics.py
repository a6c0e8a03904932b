"""A body's pose from a picture of its clothing labels, and nothing else.

    python examples/pose_from_semantics.py --output pose.png   # a minute on 2 CPU cores

The target is a semantic image: for each pixel the probabilities of the 20 clothing
labels, as a body in an unknown pose would show them. A body at rest is moved by
gradient descent until its own semantic image is the same: the limbs find their place
because left and right, arm and leg, shoe and face have channels of their own. Wide
edges first, sharp ones later. Writes target, start and result side by side, and prints
joint errors.

One view cannot tell how far a limb points to the camera or away: the hidden pose keeps
near the image's plane, and a weak prior keeps the estimate near the rest pose.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image
from tqdm import tqdm

from dsr_jax.body import JOINT_NAMES, BodyParams, load_body, pose_body
from dsr_jax.camera import project_weak_to_ndc
from dsr_jax.evaluation import mpjpe, pa_mpjpe
from dsr_jax.rasterizer import RasterSettings, rasterize
from dsr_jax.rotations import axis_angle_to_matrix
from dsr_jax.semantics import CIHP, load_prior

SIZE = 112
STAGES = (1e-2, 1e-3, 1e-4, 3e-5)  # sigma
# The hidden pose, axis-angle in radians: both arms and one leg swung sideways.
HIDDEN = {
    "left_shoulder": (0.0, 0.0, 0.7),
    "right_shoulder": (0.0, 0.0, 0.9),
    "left_elbow": (0.0, -0.3, 0.9),
    "right_elbow": (0.0, 0.0, -0.6),
    "left_hip": (0.0, 0.0, 0.5),
    "right_hip": (0.0, 0.0, -0.1),
    "left_knee": (0.2, 0.0, -0.4),
    "spine1": (0.0, 0.0, -0.15),
    "neck": (0.0, 0.0, 0.2),
}
START_CAMERA = (0.8, 0.0, 0.2)  # s, tx, ty
FACING = np.array([np.pi, 0.0, 0.0])  # the camera's y axis points down


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("pose.png"))
    parser.add_argument("--steps", type=int, default=240)
    arguments = parser.parse_args()
    body = load_body("free-lite")
    textures = load_prior("free-lite").probabilities  # (V, 20)

    def mesh_of(pose, betas):
        whole = jnp.concatenate([jnp.asarray(FACING, pose.dtype)[None], pose])
        return pose_body(body, BodyParams(axis_angle_to_matrix(whole), betas))

    def draw(mesh, camera, sigma):
        screen = project_weak_to_ndc(mesh.vertices, camera)
        settings = RasterSettings(image_size=(SIZE, SIZE), sigma=sigma)
        raster = rasterize(screen, body.faces, settings, vertex_attributes=textures)
        return jnp.concatenate([raster.attributes, raster.alpha[..., None]], -1)

    camera = jnp.array([0.85, 0.02, 0.25])
    hidden = np.zeros((23, 3), np.float32)
    for name, rotation in HIDDEN.items():
        hidden[JOINT_NAMES.index(name) - 1] = rotation
    truth = mesh_of(jnp.asarray(hidden), jnp.zeros(10))
    guess = {"pose": jnp.zeros((23, 3)), "camera": jnp.array(START_CAMERA)}
    first = mesh_of(guess["pose"], jnp.zeros(10))
    optimizer = optax.adam(optax.cosine_decay_schedule(4e-2, arguments.steps, 0.05))
    state = optimizer.init(guess)
    bar = tqdm(total=arguments.steps, desc="posing")
    for number, sigma in enumerate(STAGES):
        goal = draw(truth, camera, sigma)

        def loss(guess, sigma=sigma, goal=goal):
            image = draw(mesh_of(guess["pose"], jnp.zeros(10)), guess["camera"], sigma)
            calm = 1e-3 * jnp.mean(jnp.square(guess["pose"]))
            return jnp.mean(jnp.square(image - goal)) + calm

        @jax.jit
        def step(guess, state, loss=loss):
            value, gradient = jax.value_and_grad(loss)(guess)
            updates, state = optimizer.update(gradient, state)
            return optax.apply_updates(guess, updates), state, value

        begin, end = (arguments.steps * i // len(STAGES) for i in (number, number + 1))
        for _ in range(begin, end):
            guess, state, value = step(guess, state)
            bar.update()
            bar.set_postfix_str(f"loss {float(value):.6f}, sigma {sigma:.0e}")
    bar.close()
    found = mesh_of(guess["pose"], jnp.zeros(10))
    begun = jnp.array(START_CAMERA)
    for title, mesh, seen in (
        ("at rest", first, begun),
        ("found", found, guess["camera"]),
    ):
        on_screen = [
            project_weak_to_ndc(m.joints, c)[..., :2]
            for m, c in ((mesh, seen), (truth, camera))
        ]
        pixels = jnp.linalg.norm(on_screen[0] - on_screen[1], axis=-1) * SIZE / 2
        print(
            f"{title:8} on the image {pixels.mean():5.1f} pixels of {SIZE}, "
            f"MPJPE {mpjpe(mesh.joints, truth.joints, root=0):6.1f} mm, "
            f"PA-MPJPE {pa_mpjpe(mesh.joints, truth.joints):6.1f} mm"
        )
    start = draw(first, begun, STAGES[-1])
    final = draw(found, guess["camera"], STAGES[-1])
    _save([goal, start, final], arguments.output)
    print(f"wrote {arguments.output}: target, start, result")


def _save(images: list[jax.Array], path: pathlib.Path) -> None:
    """Label probabilities as mixtures of the palette's colours."""
    palette = np.asarray(CIHP.palette, np.float32) / 255
    pixels = [np.asarray(image[..., :20]) @ palette for image in images]
    pixels = (np.clip(np.concatenate(pixels, 1), 0, 1) * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    picture.resize((picture.width * 3, picture.height * 3), Image.NEAREST).save(path)


if __name__ == "__main__":
    main()
