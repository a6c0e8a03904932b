"""Reading a compiled program: every way of writing a collective, and real programs."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dsr_jax.training.compiled import collectives, op_names

HEADER = "HloModule jit_f, is_scheduled=true, num_partitions=8\n\n"
ALL = (tuple(range(8)),)


def one(line):
    """The only collective of a program with this instruction."""
    text = f"{HEADER}ENTRY %main (x: f32[8]) -> f32[8] {{\n  {line}\n}}\n"
    (found,) = collectives(text)
    return found


GROUPS = {
    "{}": ALL,
    "{{0,1,2,3},{4,5,6,7}}": ((0, 1, 2, 3), (4, 5, 6, 7)),
    "[2,4]<=[8]": ((0, 1, 2, 3), (4, 5, 6, 7)),
    "[4,2]<=[2,4]T(1,0)": ((0, 4), (1, 5), (2, 6), (3, 7)),
    "mesh['a'=2,'b'=4] {'b'}": ((0, 1, 2, 3), (4, 5, 6, 7)),
    "mesh['a'=2,'b'=4] {'a'}": ((0, 4), (1, 5), (2, 6), (3, 7)),
    "mesh['a'=2,'b'=4,'c'=1] {'a','b'}": ALL,
}


@pytest.mark.parametrize("written", GROUPS)
def test_groups_of_devices(written):
    found = one(
        f"%all-reduce.1 = f32[6]{{0}} all-reduce(%x), channel_id=1, "
        f"replica_groups={written}, use_global_device_ids=true, to_apply=%add"
    )
    assert found.groups == GROUPS[written]
    n = len(GROUPS[written][0])
    assert (found.group_size, found.bytes) == (n, 24)
    assert found.bytes_sent == pytest.approx(2 * (n - 1) / n * 24)


def test_unknown_groups_are_never_guessed():
    with pytest.raises(ValueError, match="groups of devices"):
        one("%a = f32[6]{0} all-reduce(%x), replica_groups=axes<'q'>, to_apply=%add")


FORMS = {
    # A tuple, with XLA's counting comments and a TPU's layouts.
    "(f32[64]{0:T(256)}, bf16[2,3]{1,0:T(8,128)(2,1)S(1)}, /*index=2*/f32[]) "
    "all-reduce(%x, %y, %z)": ("all-reduce", 64 * 4 + 6 * 2 + 4),
    "f32[64]{0} all-reduce-start(%x)": ("all-reduce", 256),
    "(f32[16]{0}, f32[128]{0}) all-gather-start(%x)": ("all-gather", 512),
    "((f32[2]{0}, s8[1]{0}), (f32[16]{0}, s8[8]{0})) all-gather-start(%x, %y)": (
        "all-gather",
        72,
    ),
    "f32[128]{0} all-gather(%x)": ("all-gather", 512),
    "f32[16]{0} reduce-scatter(%x)": ("reduce-scatter", 8 * 64),
    "u32[8,2]{1,0} all-to-all(%x)": ("all-to-all", 64),
    "(f16[4]{0}, f16[4]{0}, u32[], u32[]) collective-permute-start(%x)": (
        "collective-permute",
        8,
    ),
    "pred[4]{0} collective-broadcast(%x)": ("collective-broadcast", 4),
}


@pytest.mark.parametrize("form", FORMS)
def test_kinds_and_sizes(form):
    groups = "source_target_pairs={{0,1},{1,0}}" if "permute" in form else ""
    found = one(f"ROOT %c = {form}, {groups or 'replica_groups=[1,8]<=[8]'}")
    assert (found.kind, found.bytes) == FORMS[form]
    assert found.groups == (((0, 1), (1, 0)) if groups else ALL)


@pytest.mark.parametrize(
    "line",
    [
        "%d = f32[64]{0} all-reduce-done(%all-reduce-start.1)",
        "%all-reduce.3 = f32[64]{0} get-tuple-element(%all-reduce.2), index=0",
        '%f = f32[64]{0} fusion(%x), metadata={op_name="a = f32[] all-reduce(b)"}',
    ],
)
def test_what_is_no_collective_of_its_own(line):
    text = f"{HEADER}ENTRY %main (x: f32[8]) -> f32[8] {{\n  {line}\n}}\n"
    assert collectives(text) == []


def compiled(function, *specs, out=None, shape=(8, 12)):
    mesh = Mesh(jax.devices()[:4], ("d",))
    split = PartitionSpec("d")
    mapped = jax.shard_map(
        function,
        mesh=mesh,
        in_specs=specs or split,
        out_specs=split if out is None else out,
        check_vma=False,
    )
    x = jax.ShapeDtypeStruct(
        shape, jnp.float32, sharding=NamedSharding(mesh, specs[0] if specs else split)
    )
    return jax.jit(mapped).lower(x).compile().as_text()


REAL = {
    "all-reduce": (lambda x: jax.lax.psum(x, "d"), 2 * 12 * 4, 2 * 3 / 4),
    "all-gather": (
        lambda x: jax.lax.all_gather(x, "d", tiled=True)[:2],
        8 * 12 * 4,
        3 / 4,
    ),
    "reduce-scatter": (
        lambda x: jax.lax.psum_scatter(x, "d", scatter_dimension=1, tiled=True),
        2 * 12 * 4,
        3 / 4,
    ),
    "all-to-all": (
        lambda x: jax.lax.all_to_all(x, "d", 1, 0, tiled=True),
        2 * 12 * 4,
        3 / 4,
    ),
    "collective-permute": (
        lambda x: jax.lax.ppermute(x, "d", [(0, 1), (1, 2), (2, 3), (3, 0)]),
        2 * 12 * 4,
        1,
    ),
}


@pytest.mark.parametrize("kind", REAL)
def test_real_programs(kind):
    function, size, share = REAL[kind]
    with jax.named_scope("talk"):
        text = compiled(function)
    (found,) = collectives(text)
    assert (found.kind, found.bytes, found.times) == (kind, size, 1)
    assert found.bytes_sent == size * share
    if kind != "collective-permute":
        assert found.groups == ((0, 1, 2, 3),)


def test_a_program_without_communication():
    assert collectives(compiled(lambda x: 2 * x)) == []


def shifted(_, x):
    return jax.lax.ppermute(x, "d", [(0, 1), (1, 2), (2, 3), (3, 0)])


def test_a_loop_counts_its_rounds():
    def nested(x):
        inner = functools.partial(jax.lax.fori_loop, 0, 3, shifted)
        return jax.lax.fori_loop(0, 5, lambda _, x: 2 * inner(x), x)

    found = collectives(compiled(nested))
    assert sum(c.times for c in found) == 15
    assert all(c.rounds_known for c in found)
    assert sum(c.bytes_sent for c in found) == 15 * 2 * 12 * 4


def test_a_loop_of_unknown_length_counts_once_and_says_so():
    def until_small(x):
        return jax.lax.while_loop(
            lambda x: jnp.max(x) > 1, lambda x: shifted(0, x) / 2, x
        )

    (found,) = collectives(compiled(until_small))
    assert (found.times, found.rounds_known) == (1, False)


def test_both_branches_count():
    def either(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: shifted(0, x), jnp.sin, x)

    (found,) = collectives(compiled(either))
    assert (found.times, found.rounds_known) == (1, True)


def test_origins_of_instructions():
    def function(x):
        with jax.named_scope("body"):
            x = jnp.sin(x) @ jnp.ones((12, 12))
        with jax.named_scope("camera"):
            return jax.lax.psum(x, "d")

    text = compiled(function)
    names = op_names(text)
    assert any("body/" in name for name in names.values())
    (found,) = collectives(text)
    assert "camera/" in found.op_name
    assert found.op_name in names.values()
