"""Fingerprints of arrays that do not depend on the devices that hold them.

Every element's bits are mixed with its place by a bijection, and the mixed words are
summed modulo 2^32, twice with different seeds:

    f_s = Σ_i  m(bits_i xor m(i + s))   mod 2^32

with the finaliser m of MurmurHash3. One changed element always changes both sums, as m
is a bijection; anything else goes unseen with probability 2^-64. Integer sums are exact
in any order, so that sharded arrays are summed where they are. A sum of bits times odd
multipliers would be cheaper, but cannot see two flipped signs: 2^31·(a + b) is 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt32

from dsr_jax.arrays import Array, Shaped

_SEEDS = (0x243F6A88, 0x85A308D3)  # the first digits of pi
_MASK = 0xFFFFFFFF


def fingerprint(array: Shaped[Array, "*shape"]) -> UInt32[Array, "2"]:
    """The two sums; for use under `jit`, with any sharding of `array`."""
    words = _words(array)
    place = _places(words.shape)
    return jnp.stack(
        [
            jnp.sum(_mixed(words ^ _mixed(place + np.uint32(seed))), dtype=jnp.uint32)
            for seed in _SEEDS
        ]
    )


def fingerprint_text(sums: UInt32[np.ndarray, "2"]) -> str:
    """Sixteen hexadecimal digits."""
    return "".join(f"{int(value):08x}" for value in sums)


def _words(array: Shaped[Array, "*shape"]) -> UInt32[Array, "..."]:
    """The bits of every element as 32-bit words, one or two of them."""
    if array.dtype == jnp.bool_:
        return array.astype(jnp.uint32)
    size = array.dtype.itemsize
    if size >= 4:
        return jax.lax.bitcast_convert_type(array, jnp.uint32)
    narrow = jnp.uint8 if size == 1 else jnp.uint16
    return jax.lax.bitcast_convert_type(array, narrow).astype(jnp.uint32)


def _places(shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """The row-major number of every element, modulo 2^32."""
    place, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        along = jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
        place = place + along * np.uint32(stride & _MASK)
        stride *= shape[axis]
    return place


def _mixed(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """MurmurHash3's finaliser, a bijection of 32-bit words."""
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
