"""How far a predicted body is from the true one, by the field's protocols."""

from dsr_jax.evaluation.alignment import center_on, similarity_align
from dsr_jax.evaluation.comparison import (
    Comparison,
    Difference,
    bootstrap_interval,
    compare_evaluations,
    format_comparison,
)
from dsr_jax.evaluation.evaluation import Evaluation
from dsr_jax.evaluation.evaluator import evaluate, evaluate_all, predict_mean_body
from dsr_jax.evaluation.joint_errors import (
    mpjpe,
    pa_mpjpe,
    per_vertex_error,
    point_errors,
)
from dsr_jax.evaluation.keypoint_scores import auc, pck
from dsr_jax.evaluation.people import (
    AnnotatedDataset,
    MeasuredPeople,
    measured_people,
)
from dsr_jax.evaluation.points import Bodies
from dsr_jax.evaluation.protocol import Chosen, Protocol
from dsr_jax.evaluation.protocols import PROTOCOLS, protocol_by_name
from dsr_jax.evaluation.report import format_evaluation, write_evaluation
from dsr_jax.evaluation.saved import SavedEvaluation, read_evaluation

__all__ = [
    "PROTOCOLS",
    "AnnotatedDataset",
    "Bodies",
    "Chosen",
    "Comparison",
    "Difference",
    "Evaluation",
    "MeasuredPeople",
    "Protocol",
    "SavedEvaluation",
    "auc",
    "bootstrap_interval",
    "center_on",
    "compare_evaluations",
    "evaluate",
    "evaluate_all",
    "format_comparison",
    "format_evaluation",
    "measured_people",
    "mpjpe",
    "pa_mpjpe",
    "pck",
    "per_vertex_error",
    "point_errors",
    "predict_mean_body",
    "protocol_by_name",
    "read_evaluation",
    "similarity_align",
    "write_evaluation",
]
