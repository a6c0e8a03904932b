"""Pictures of bodies, labels and keypoints, and meshes for other programs."""

from dsr_jax.data.image_file import write_image
from dsr_jax.visualization.animation import write_animation
from dsr_jax.visualization.annotations import draw_keypoints, overlay_labels
from dsr_jax.visualization.body_picture import BODY_COLOUR, overlay_body
from dsr_jax.visualization.fitted_camera import fit_weak_camera
from dsr_jax.visualization.mesh_file import MESH_SUFFIXES, export_mesh
from dsr_jax.visualization.panel import panel
from dsr_jax.visualization.person_files import (
    FittedPerson,
    person_numbers,
    write_person,
)
from dsr_jax.visualization.prior_picture import (
    PriorView,
    colour_bar,
    label_legend,
    likeliest_picture,
    probability_picture,
    standing_vertices,
    view_prior,
)
from dsr_jax.visualization.side_view import side_view, turn_about_vertical
from dsr_jax.visualization.source_picture import draw_person

__all__ = [
    "BODY_COLOUR",
    "MESH_SUFFIXES",
    "FittedPerson",
    "PriorView",
    "colour_bar",
    "draw_keypoints",
    "draw_person",
    "export_mesh",
    "fit_weak_camera",
    "label_legend",
    "likeliest_picture",
    "overlay_body",
    "overlay_labels",
    "panel",
    "person_numbers",
    "probability_picture",
    "side_view",
    "standing_vertices",
    "turn_about_vertical",
    "view_prior",
    "write_animation",
    "write_image",
    "write_person",
]
