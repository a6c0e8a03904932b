"""Exemplar fine-tuning: a regressor's weights are fitted to one image.

EFT (Joo, Neverova and Vedaldi, "Exemplar Fine-Tuning for 3D Human Model Fitting",
3DV 2021) takes the network itself for the prior of poses: instead of the pose, its
weights descend, by a few small steps from where training left them. Each image has its
own copy of the weights.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from dsr_jax.arrays import Array, UInt8
from dsr_jax.data import Batch
from dsr_jax.fitting.descent import DescentSettings, Watch
from dsr_jax.fitting.pose_prior import PosePrior
from dsr_jax.fitting.terms import fit_terms, weighted_total, without_truth
from dsr_jax.pipeline import PipelineSettings, Scene, predict
from dsr_jax.regressor import Prediction


@dataclasses.dataclass(frozen=True)
class ExemplarSettings(DescentSettings):
    """Of Adam on the weights."""

    steps: int = 60
    learning_rate: float = 5e-6
    """Source: EFT. A network of few steps of training takes more."""
    pose_prior: float = 0.0
    """The network is a prior already."""
    shape_prior: float = 0.01
    dsr_start: float = 0.5


def fine_tune(
    regressor: nnx.Module,
    scene: Scene,
    prior: PosePrior,
    person: Batch,
    pipeline: PipelineSettings,
    settings: ExemplarSettings,
    watch: Watch | None = None,
) -> tuple[Prediction, nnx.Module]:
    """Fine-tunes a copy of the regressor on the image of one person.

    Args:
      regressor: a trained `Regressor`, in evaluation mode: its batch statistics stay.
      scene: body and semantic prior.
      prior: of poses.
      person: a batch of one.
      pipeline: drawing and objective.
      settings: steps and priors.
      watch: as in `fit_bodies`, after every step.

    Returns:
      The body that the tuned copy sees, and the copy.

    Raises:
      ValueError: the batch does not hold exactly one person.
    """
    if len(person.image) != 1:
        raise ValueError(
            f"{len(person.image)} people given: fine-tune on one at a time"
        )
    person = without_truth(person)
    definition, params, *others = nnx.split(regressor, nnx.Param, ...)
    rest = others[0]
    moments = optax.adam(settings.learning_rate).init(params)
    watch = watch or (lambda steps, bodies: None)
    for number in range(settings.steps):
        use_dsr = number >= settings.dsr_start * settings.steps
        params, moments, bodies = _step(
            definition,
            params,
            rest,
            moments,
            scene,
            prior,
            person,
            use_dsr,
            pipeline,
            settings,
        )
        watch(number, bodies)
    bodies = _look(definition, params, rest, jnp.asarray(person.image))
    watch(settings.steps, bodies)
    return bodies, nnx.merge(definition, params, rest)


@functools.partial(jax.jit, static_argnames="definition")
def _look(
    definition: nnx.GraphDef,
    params: nnx.State,
    rest: nnx.State,
    image: UInt8[Array, "1 H W 3"],
) -> Prediction:
    return predict(nnx.merge(definition, params, rest), image)


@functools.partial(
    jax.jit, static_argnames=("definition", "use_dsr", "pipeline", "settings")
)
def _step(
    definition: nnx.GraphDef,
    params: nnx.State,
    rest: nnx.State,
    moments: optax.OptState,
    scene: Scene,
    prior: PosePrior,
    person: Batch,
    use_dsr: bool,
    pipeline: PipelineSettings,
    settings: ExemplarSettings,
) -> tuple[nnx.State, optax.OptState, Prediction]:
    """One step, and the body before it."""

    def total(params: nnx.State) -> tuple[Array, Prediction]:
        bodies = predict(nnx.merge(definition, params, rest), jnp.asarray(person.image))
        terms = fit_terms(scene, prior, bodies, person, use_dsr, pipeline)
        loss, _ = weighted_total(
            terms, pipeline.objective, settings.pose_prior, settings.shape_prior
        )
        return loss, bodies

    gradient, bodies = jax.grad(total, has_aux=True)(params)
    updates, moments = optax.adam(settings.learning_rate).update(gradient, moments)
    return optax.apply_updates(params, updates), moments, bodies
