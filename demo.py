r"""Bodies from photos: an overlay, a side view, a mesh and the numbers of every person.

    python demo.py --image photo.jpg --openpose photo_keypoints.json \
        --checkpoint runs/dsr --output pictures

The person of `photo.jpg` becomes `photo_overlay.png`, `photo_side.png`, `photo.glb`
and `photo.npz`; if OpenPose lists several people, `photo_0_overlay.png` and so on.
`--image` may be a folder; `--openpose` or `--box` then is a folder of json files with
the photos' names. Without either, the person is taken to fill the photo.
"""

import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx

from dsr_jax.arrays import Array
from dsr_jax.body import BodyModel, BodyParams, pose_body
from dsr_jax.data import (
    PersonBox,
    centred_box,
    crop_affine,
    find_photos,
    make_folder,
    read_image,
    warp_image,
)
from dsr_jax.errors import UserError
from dsr_jax.pipeline import predict
from dsr_jax.regressor import Regressor
from dsr_jax.training import load_regressor
from dsr_jax.training.command_line import require, run_script
from dsr_jax.visualization import FittedPerson, write_person

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "A photo, or a folder of photos.")
flags.DEFINE_string("openpose", None, "OpenPose's json (BODY_25), or a folder of them.")
flags.DEFINE_string("box", None, 'A json with {"bbox": [x, y, w, h]}, or a folder.')
flags.DEFINE_string("checkpoint", None, "The folder of a training run.")
flags.DEFINE_string("output", None, "Where the files go; made if it does not exist.")


def main(_: list[str]) -> None:
    """Photos → boxes → crops → regressor → body → files."""
    require(image=FLAGS.image, checkpoint=FLAGS.checkpoint, output=FLAGS.output)
    photos = find_photos(FLAGS.image, openpose=FLAGS.openpose, box=FLAGS.box)
    output = make_folder(FLAGS.output)
    regressor, body, config = load_regressor(FLAGS.checkpoint)
    resolution = config.data.image_size
    people = 0
    for photo in photos:
        image = read_image(photo.path)
        for name, box in photo.people:
            box = box or centred_box((image.shape[0], image.shape[1]))
            person = fit_person(regressor, body, image, box, resolution)
            write_person(output / name, image, person)
            people += 1
    print(f"{people} people of {len(photos)} photos are in {output}")


def fit_person(
    regressor: Regressor,
    body: BodyModel,
    image: np.ndarray,
    box: PersonBox,
    resolution: int,
) -> FittedPerson:
    """Looks at the box of one person.

    Raises:
      UserError: the regressor's weights are not usable.
    """
    affine = crop_affine(np.array(box.center_px), box.size_px, resolution)
    crop = warp_image(image, affine, resolution)
    looked = _regress(regressor, body, jnp.asarray(crop))
    fitted = {name: np.asarray(value) for name, value in looked.items()}
    if not all(np.isfinite(value).all() for value in fitted.values()):
        raise UserError(
            f"{FLAGS.checkpoint}: predicts a body that is not finite; use an earlier "
            "checkpoint"
        )
    return FittedPerson(box=box, faces=np.asarray(body.faces), **fitted)


@nnx.jit
def _regress(regressor: Regressor, body: BodyModel, crop: Array) -> dict[str, Array]:
    """What `FittedPerson` holds about the person of one crop (H, W, 3)."""
    prediction = predict(regressor, crop[None])
    params = BodyParams(pose=prediction.pose[0], betas=prediction.betas[0])
    mesh = pose_body(body, params)
    return {
        "pose": params.pose,
        "betas": params.betas,
        "camera": prediction.camera[0],
        "vertices": mesh.vertices,
        "joints": mesh.joints,
    }


if __name__ == "__main__":
    run_script(main)
