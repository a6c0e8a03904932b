"""The forms of the semantic terms that are compared, and on which people."""

import dataclasses

import jax
import jax.numpy as jnp

from dsr_jax.body import BodyModel
from dsr_jax.data import Batch
from dsr_jax.data.synthetic import SyntheticSettings, split_key, synthetic_people
from dsr_jax.errors import UserError
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings, Scene
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.semantics import most_likely


@dataclasses.dataclass(frozen=True)
class Form:
    """One way of comparing a body with clothing labels."""

    objective: dict[str, object]
    """What differs from an objective without semantic terms."""
    texture: str = "prior"
    visible_only: bool = False
    most_likely: bool = False
    gamma: float = 0.1

    def pipeline(self, image_size: int, joints_3d: float) -> PipelineSettings:
        """For crops of that size, 3D joints weighing that much."""
        none = {"dsr_mc": 0.0, "dsr_c": 0.0, "dsr_fb": 0.0, "camera": 0.0}
        changes = {**none, "joints_3d": joints_3d, **self.objective}
        return PipelineSettings(
            objective=ObjectiveSettings(**changes),  # type: ignore[arg-type]
            raster=RasterSettings(
                image_size=(image_size, image_size), gamma=self.gamma
            ),
            visible_only=self.visible_only,
            texture=self.texture,
        )

    def scene(self, scene: Scene) -> Scene:
        """The scene with the prior as this form paints it."""
        if not self.most_likely:
            return scene
        return dataclasses.replace(scene, prior=most_likely(scene.prior))


_PLAIN = {"class_weighting": False}
_INSIDE = {
    **{"dsr_c_mode": "inside", "class_weighting": False},
    **{"inside_plausible": 0.1, "inside_tolerance": 1},
}
_LITERAL = {**_INSIDE, "inside_plausible": 1.0, "inside_tolerance": 0}


def _pair(weight: float) -> dict[str, object]:
    return {"dsr_mc": weight, "dsr_c": weight}


FORMS = {
    "joints alone": Form({}),
    "release: C weighted + MC, 0.01": Form(_pair(0.01)),
    "paper: C + MC, 0.01": Form({**_pair(0.01), **_PLAIN}, visible_only=True),
    "C softmax + MC, 0.01": Form({**_pair(0.01), **_PLAIN}),
    "C softmax, 0.001": Form({"dsr_c": 0.001, **_PLAIN}),
    "C softmax, 0.1": Form({"dsr_c": 0.1, **_PLAIN}),
    "C softmax, 0.01": Form({"dsr_c": 0.01, **_PLAIN}),
    "C softmax visible, 0.01": Form({"dsr_c": 0.01, **_PLAIN}, visible_only=True),
    "C softmax weighted, 0.01": Form({"dsr_c": 0.01}),
    "C softmax 8 classes, 0.01": Form(
        {"dsr_c": 0.01, "grouping": "clothing_8", **_PLAIN}
    ),
    "C softmax gamma 1e-3, 0.01": Form({"dsr_c": 0.01, **_PLAIN}, gamma=1e-3),
    "C calibrated, 0.01": Form({"dsr_c": 0.01, "dsr_c_mode": "calibrated", **_PLAIN}),
    "C inside, literal, 0.01": Form({"dsr_c": 0.01, **_LITERAL}),
    "C inside, tolerant, 0.01": Form({"dsr_c": 0.01, **_INSIDE}),
    "MC, 0.01": Form({"dsr_mc": 0.01}),
    "MC, 0.002": Form({"dsr_mc": 0.002}),
    "MC soft distance, 0.01": Form({"dsr_mc": 0.01, "dsr_mc_metric": "soft_distance"}),
    "MC posterior, 0.002": Form({"dsr_mc": 0.002}, texture="posterior"),
    "MVP: C + MC, 0.01": Form({**_pair(0.01), **_PLAIN}, most_likely=True),
    "FB soft IoU, 0.01": Form({"dsr_fb": 0.01}),
    "FB soft distance, 0.01": Form({"dsr_fb": 0.01, "dsr_fb_metric": "soft_distance"}),
    "ours: C inside 0.01 + MC posterior 0.002": Form(
        {"dsr_c": 0.01, "dsr_mc": 0.002, **_INSIDE}, texture="posterior"
    ),
    "C softmax 0.01 + MC posterior 0.002": Form(
        {"dsr_c": 0.01, "dsr_mc": 0.002, **_PLAIN}, texture="posterior"
    ),
}


def make_people(
    body: BodyModel, count: int, split: str, image_size: int, parser_noise: float = 0.0
) -> Batch:
    """Whole people with nothing in front of them, on the host."""
    if count < 2:
        raise UserError(f"--people {count}: give 2 or more")
    try:
        settings = SyntheticSettings(
            image_size=image_size,
            occluder_probability=0.0,
            truncation_probability=0.0,
            parser_noise=parser_noise,
        )
    except ValueError as error:
        raise UserError(f"--size {image_size}, or --parser-noise: {error}") from error
    key = split_key(5, split)
    people = synthetic_people(key, count, body, settings)
    return jax.tree.map(jnp.asarray, jax.device_get(people))
