"""Clothing labels: taxonomies, label maps, and how likely the body shows each label."""

from dsr_jax.semantics.cleaning import (
    MINIMAL_CLOTHING_LABELS,
    MINIMUM_LABEL_PIXELS,
    class_counts,
    clean_label_map,
    minimal_clothing_mask,
    minimal_clothing_validity,
    minimum_pixels,
)
from dsr_jax.semantics.distance import distance_field
from dsr_jax.semantics.grouping import (
    CLOTHING_4,
    CLOTHING_4_RELEASED,
    CLOTHING_8,
    GROUPINGS,
    Grouping,
    group_labels,
    grouping_by_name,
)
from dsr_jax.semantics.label_map import (
    colour_label_map,
    flip_label_map,
    read_label_map,
    write_label_map,
)
from dsr_jax.semantics.prior import (
    EMBEDDED_PRIORS,
    SemanticPrior,
    load_prior,
    save_prior,
)
from dsr_jax.semantics.prior_conversion import prior_per_face, prior_per_vertex
from dsr_jax.semantics.prior_learning import accumulate_label_counts, prior_from_counts
from dsr_jax.semantics.prior_symmetry import mirror_vertices, symmetrize_counts
from dsr_jax.semantics.taxonomy import CIHP, NUM_LABELS, Taxonomy, lookup_by_name
from dsr_jax.semantics.textures import group_prior, semantic_textures, visible_vertices

__all__ = [
    "CIHP",
    "CLOTHING_4",
    "CLOTHING_4_RELEASED",
    "CLOTHING_8",
    "EMBEDDED_PRIORS",
    "GROUPINGS",
    "MINIMAL_CLOTHING_LABELS",
    "MINIMUM_LABEL_PIXELS",
    "NUM_LABELS",
    "Grouping",
    "SemanticPrior",
    "Taxonomy",
    "accumulate_label_counts",
    "class_counts",
    "clean_label_map",
    "colour_label_map",
    "distance_field",
    "flip_label_map",
    "group_labels",
    "group_prior",
    "grouping_by_name",
    "load_prior",
    "lookup_by_name",
    "minimal_clothing_mask",
    "minimal_clothing_validity",
    "minimum_pixels",
    "mirror_vertices",
    "prior_from_counts",
    "prior_per_face",
    "prior_per_vertex",
    "read_label_map",
    "save_prior",
    "semantic_textures",
    "symmetrize_counts",
    "visible_vertices",
    "write_label_map",
]
