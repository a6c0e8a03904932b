"""A host's own copy of arrays that lie on a larger mesh."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from dsr_jax.training.devices import BATCH_AXIS, device_mesh, replicated
from dsr_jax.training.local_copy import local_copy

VALUES = {"w": jnp.arange(12.0).reshape(4, 3), "key": jax.random.key(3)}


def places(array):
    return [part.data.unsafe_buffer_pointer() for part in array.addressable_shards]


def assert_equal(copy):
    np.testing.assert_array_equal(copy["w"], VALUES["w"])
    assert jax.random.key_data(copy["key"]).tolist() == [0, 3]


def test_what_is_there_is_not_copied():
    everywhere = jax.device_put(VALUES, replicated(device_mesh()))
    part = device_mesh(jax.devices()[1:3])
    copy = local_copy(everywhere, part)
    assert_equal(copy)
    assert copy["w"].sharding == copy["key"].sharding == replicated(part)
    assert places(copy["w"]) == places(everywhere["w"])[1:3]


def test_what_is_elsewhere_or_split_is_brought_together():
    mesh, first = device_mesh(), device_mesh(jax.devices()[:1])
    split = {
        "w": jax.device_put(
            VALUES["w"], NamedSharding(mesh, PartitionSpec(BATCH_AXIS))
        ),
        "key": jax.device_put(VALUES["key"], replicated(first)),
    }
    for target in (first, mesh):
        copy = local_copy(split, target)
        assert_equal(copy)
        assert copy["w"].sharding == copy["key"].sharding == replicated(target)
    assert local_copy({"n": np.ones(2)}, mesh)["n"].sharding == replicated(mesh)
