"""Refines pose, shape and camera of each person of a batch by gradient descent.

Everything is the training's: the same projection, terms and weights. People do not
share anything, so that a person alone is fitted as in a batch of many.
"""

import dataclasses
import functools
import math
import typing
from collections.abc import Callable

import jax
import numpy as np
import optax

from dsr_jax.arrays import Array, Float
from dsr_jax.data import Batch
from dsr_jax.fitting.pose_prior import PosePrior
from dsr_jax.fitting.terms import fit_terms, weighted_total, without_truth
from dsr_jax.pipeline import PipelineSettings, Scene
from dsr_jax.regressor import Prediction
from dsr_jax.rotations import matrix_to_rotation_6d, rotation_6d_to_matrix

# Steps of one compiled call: between two, progress shows and Ctrl-C works.
STEPS_A_CALL = 10

Watch = Callable[[int, Prediction], None]


@dataclasses.dataclass(frozen=True)
class DescentSettings:
    """What every descent has: steps, and the priors beside the objective's terms."""

    steps: int
    learning_rate: float
    pose_prior: float
    """Weight of `pose_prior_loss`."""
    shape_prior: float
    """Weight of the mean square of the shape coefficients."""
    dsr_start: float
    """The part of the steps after which the semantic terms start: joints bring the
    body near first, for the derivative of a rendered edge sees about a pixel far."""

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}: give at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: use more than 0")
        if not min(self.pose_prior, self.shape_prior) >= 0:
            raise ValueError("pose_prior and shape_prior are at least 0")
        if not 0 <= self.dsr_start <= 1:
            raise ValueError(f"dsr_start is {self.dsr_start}: use 0 to 1")


@dataclasses.dataclass(frozen=True)
class FitSettings(DescentSettings):
    """Of Adam on a body's numbers; the rate falls to a hundredth along a cosine."""

    steps: int = 600
    learning_rate: float = 0.02
    """About what each number of rotations (6D), shape and camera moves in a step."""
    pose_prior: float = 0.1
    """Less leaves heads thrown back and limbs twisted where keypoints in the image
    alone do not say."""
    shape_prior: float = 0.1
    dsr_start: float = 0.5


@typing.no_type_check  # JAX rebuilds it with leaves that are not arrays.
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BodyNumbers:
    """What descends, of B people."""

    rotation_6d: Float[Array, "B 24 6"]
    betas: Float[Array, "B 10"]
    camera: Float[Array, "B 3"]

    @classmethod
    def of(cls, prediction: Prediction) -> "BodyNumbers":
        """Those of a regressor's prediction."""
        six = matrix_to_rotation_6d(prediction.pose)
        return cls(six, prediction.betas, prediction.camera)

    def prediction(self) -> Prediction:
        """As the losses take it."""
        return Prediction(
            pose=rotation_6d_to_matrix(self.rotation_6d),
            betas=self.betas,
            camera=self.camera,
            rotation_6d=self.rotation_6d,
        )


def fit_bodies(
    scene: Scene,
    prior: PosePrior,
    start: Prediction,
    people: Batch,
    pipeline: PipelineSettings,
    settings: FitSettings,
    watch: Watch | None = None,
) -> tuple[Prediction, dict[str, Float[np.ndarray, "B"]]]:
    """Fits B people.

    Args:
      scene: body and semantic prior.
      prior: of poses.
      start: where the descent begins.
      people: keypoints, 3D joints and labels with their confidences; the true body and
        camera are not looked at.
      pipeline: how people are drawn; terms and weights. `dsr_start_step` has no role.
      settings: steps and priors.
      watch: called with the number of steps done and the bodies so far: before the
        first step, after every few, and after the last.

    Returns:
      The fitted bodies, and each term before weighting, at the last step but one.
    """
    people = without_truth(people)
    numbers = BodyNumbers.of(start)
    state, values = (numbers, _optimizer(settings).init(numbers)), {}
    watch = watch or (lambda steps, bodies: None)
    switch, first = math.ceil(settings.dsr_start * settings.steps), 0
    while first < settings.steps:
        watch(first, state[0].prediction())
        use_dsr = first >= switch
        end = settings.steps if use_dsr else switch
        count = min(STEPS_A_CALL, end - first)
        state, values = _descend(
            state, scene, prior, people, count, use_dsr, pipeline, settings
        )
        first += count
    result = state[0].prediction()
    watch(settings.steps, result)
    return result, {name: np.asarray(value) for name, value in values.items()}


def _optimizer(settings: FitSettings) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(settings.learning_rate, settings.steps, 0.01)
    return optax.adam(schedule)


@functools.partial(
    jax.jit, static_argnames=("count", "use_dsr", "pipeline", "settings")
)
def _descend(
    state: tuple[BodyNumbers, optax.OptState],
    scene: Scene,
    prior: PosePrior,
    people: Batch,
    count: int,
    use_dsr: bool,
    pipeline: PipelineSettings,
    settings: FitSettings,
) -> tuple[tuple[BodyNumbers, optax.OptState], dict[str, Array]]:
    """`count` steps, and the terms before the last of them."""
    optimizer = _optimizer(settings)

    def total(numbers: BodyNumbers) -> tuple[Array, dict[str, Array]]:
        bodies = numbers.prediction()
        terms = fit_terms(scene, prior, bodies, people, use_dsr, pipeline)
        return weighted_total(
            terms, pipeline.objective, settings.pose_prior, settings.shape_prior
        )

    def step(state, _):
        numbers, moments = state
        (_, values), gradient = jax.value_and_grad(total, has_aux=True)(numbers)
        updates, moments = optimizer.update(gradient, moments, numbers)
        return (optax.apply_updates(numbers, updates), moments), values

    state, values = jax.lax.scan(step, state, length=count)
    return state, {name: value[-1] for name, value in values.items()}
