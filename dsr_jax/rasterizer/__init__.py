"""A differentiable soft rasterizer in pure JAX, and a hard z-buffer."""

from dsr_jax.rasterizer.api import Raster, RasterSettings, rasterize
from dsr_jax.rasterizer.visibility import VisibleFaces, visible_faces

__all__ = ["Raster", "RasterSettings", "VisibleFaces", "rasterize", "visible_faces"]
