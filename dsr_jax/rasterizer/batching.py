"""vmap for kernels that take a batch of images anyway: more images, one loop."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap


def folds_batch(
    function: Callable, without_images: int | None = None, shareable: int | None = None
) -> Callable:
    """Makes vmap add images to the batch of `function`.

    A loop whose trip count differs from image to image is slow and large when it is
    batched; all images in one loop is what the kernels are made for.

    Args:
      function: takes arrays with images first, returns a tree of such arrays.
      without_images: position of an argument without that axis (the faces). If vmap
        maps over it, the meshes are drawn one after the other.
      shareable: position of an argument whose first axis may be 1, for all images.
    """
    kernel = custom_vmap(function)

    @kernel.def_vmap
    def rule(axis_size, in_batched, *arrays):
        if without_images is not None and in_batched[without_images]:
            return _one_by_one(kernel, in_batched, arrays)
        images = arrays[0].shape[1 if in_batched[0] else 0]

        def merge(position, array):
            if position == without_images:
                return array
            if not in_batched[position]:
                if position == shareable and array.shape[0] == 1:
                    return array
                array = jnp.broadcast_to(array, (axis_size, *array.shape))
            if array.shape[1] != images:
                array = jnp.repeat(array, images, 1)
            return array.reshape(axis_size * images, *array.shape[2:])

        out = kernel(*(merge(p, a) for p, a in enumerate(arrays)))
        out = jax.tree.map(lambda a: a.reshape(axis_size, images, *a.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    return kernel


def _one_by_one(kernel: Callable, in_batched, arrays):
    batched = [a for a, b in zip(arrays, in_batched, strict=True) if b]

    def one(own):
        own = iter(own)
        pairs = zip(arrays, in_batched, strict=True)
        return kernel(*(next(own) if b else a for a, b in pairs))

    out = jax.lax.map(one, batched)
    return out, jax.tree.map(lambda _: True, out)
