"""What a fit minimizes: the training's terms person by person, and two priors."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from dsr_jax.arrays import Array, Float
from dsr_jax.data import Batch
from dsr_jax.fitting.pose_prior import PosePrior, pose_prior_loss
from dsr_jax.losses import ObjectiveSettings, Term, inactive_dsr_terms, standard_terms
from dsr_jax.pipeline import PipelineSettings, Scene, compare_semantics, project
from dsr_jax.regressor import Prediction


def fit_terms(
    scene: Scene,
    prior: PosePrior,
    bodies: Prediction,
    people: Batch,
    use_dsr: bool,
    pipeline: PipelineSettings,
) -> dict[str, Term]:
    """Every term of the objective, "pose_prior" and "shape_prior".

    Args:
      scene: body and semantic prior.
      prior: of poses.
      bodies: of B people.
      people: what the images say about them.
      use_dsr: whether the semantic terms are drawn and compared.
      pipeline: drawing and objective.
    """
    screen = project(scene.body, bodies)
    terms = standard_terms(
        bodies, screen.keypoints_ndc, screen.joints_cam, people, pipeline.objective
    )
    always = jnp.ones_like(bodies.betas[:, 0])
    terms["pose_prior"] = Term(pose_prior_loss(prior, bodies.pose), always)
    terms["shape_prior"] = Term(jnp.mean(jnp.square(bodies.betas), -1), always)
    if use_dsr:
        return terms | compare_semantics(scene, screen.vertices_ndc, people, pipeline)
    return terms | inactive_dsr_terms(screen.vertices_ndc)


def weighted_total(
    terms: dict[str, Term],
    objective: ObjectiveSettings,
    pose_prior: float,
    shape_prior: float,
) -> tuple[Float[Array, ""], dict[str, Float[Array, "B"]]]:
    """The sum over people of what each of them minimizes, and the terms' values.

    A sum, not the training's mean over the valid examples: nobody's weights depend on
    who else is in the batch.
    """
    priors = {"pose_prior": pose_prior, "shape_prior": shape_prior}
    weights = {
        name: priors[name]
        if name in priors
        else objective.total * getattr(objective, name)
        for name in terms
    }
    each = [weights[n] * term.values * term.where for n, term in terms.items()]
    total = jnp.sum(jnp.stack(each))
    return total, {name: term.values * term.where for name, term in terms.items()}


def without_truth(people: Batch) -> Batch:
    """The batch as if nobody knew the bodies."""
    return dataclasses.replace(
        people, has_body=np.zeros(len(people.has_body), np.float32)
    )
