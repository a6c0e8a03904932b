"""Regress 3D human bodies from images with differentiable semantic rendering."""

__version__ = "0.1.0"
