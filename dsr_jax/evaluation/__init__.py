"""How far a predicted body is from the true one, by the field's protocols."""

from dsr_jax.evaluation.alignment import center_on, similarity_align
from dsr_jax.evaluation.evaluator import Evaluation, evaluate, predict_mean_body
from dsr_jax.evaluation.joint_errors import (
    mpjpe,
    pa_mpjpe,
    per_vertex_error,
    point_errors,
)
from dsr_jax.evaluation.keypoint_scores import auc, pck
from dsr_jax.evaluation.protocols import PROTOCOLS, Protocol, protocol_by_name
from dsr_jax.evaluation.report import format_evaluation, write_evaluation

__all__ = [
    "PROTOCOLS",
    "Evaluation",
    "Protocol",
    "auc",
    "center_on",
    "evaluate",
    "format_evaluation",
    "mpjpe",
    "pa_mpjpe",
    "pck",
    "per_vertex_error",
    "point_errors",
    "predict_mean_body",
    "protocol_by_name",
    "similarity_align",
    "write_evaluation",
]
