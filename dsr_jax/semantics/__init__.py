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
from dsr_jax.semantics.posterior import image_posterior
from dsr_jax.semantics.prior import (
    EMBEDDED_PRIORS,
    SemanticPrior,
    load_prior,
    save_prior,
)
from dsr_jax.semantics.prior_learning import accumulate_label_counts, prior_from_counts
from dsr_jax.semantics.taxonomy import (
    ATR,
    CIHP,
    LIP,
    NUM_LABELS,
    PASCAL,
    TAXONOMIES,
    VOID,
    Taxonomy,
    label_lookup,
    lookup_by_name,
    taxonomy_by_name,
)
from dsr_jax.semantics.textures import (
    group_prior,
    most_likely,
    semantic_textures,
    visible_vertices,
)

__all__ = [
    "ATR",
    "CIHP",
    "CLOTHING_4",
    "CLOTHING_4_RELEASED",
    "CLOTHING_8",
    "EMBEDDED_PRIORS",
    "GROUPINGS",
    "LIP",
    "MINIMAL_CLOTHING_LABELS",
    "MINIMUM_LABEL_PIXELS",
    "NUM_LABELS",
    "PASCAL",
    "TAXONOMIES",
    "VOID",
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
    "image_posterior",
    "label_lookup",
    "load_prior",
    "lookup_by_name",
    "minimal_clothing_mask",
    "minimal_clothing_validity",
    "minimum_pixels",
    "most_likely",
    "prior_from_counts",
    "read_label_map",
    "save_prior",
    "semantic_textures",
    "taxonomy_by_name",
    "visible_vertices",
    "write_label_map",
]
