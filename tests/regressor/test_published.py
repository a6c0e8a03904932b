"""Weights recognised by their names, and every tensor accounted for; no PyTorch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dsr_jax.errors import UserError
from dsr_jax.regressor import (
    Regressor,
    RegressorSettings,
    default_mean_parameters,
    fill_from_file,
    open_weights,
    recognize,
    to_torch,
)
from dsr_jax.regressor.hrnet import HRNet
from dsr_jax.regressor.safetensors_file import encode_safetensors
from dsr_jax.regressor.torch_file import encode_torch_file
from dsr_jax.regressor.torch_layout import SPIN_LAYOUT, TorchLayout, from_torch
from tests.regressor import names

HIDDEN = 8
SETTINGS = RegressorSettings(backbone="resnet18", hidden=HIDDEN)


def _parts(hidden=HIDDEN):
    return names.backbone("resnet18"), names.head(512, hidden)


def _prefixed(backbone, head):
    first, second = _parts()
    shapes = {f"{backbone}{name}": shape for name, shape in first.items()}
    return shapes | {f"{head}{name}": shape for name, shape in second.items()}


def _tensors(shapes):
    random = np.random.default_rng(0)
    return {name: random.random(shape, np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def regressor():
    network = nnx.eval_shape(
        lambda: Regressor(SETTINGS, default_mean_parameters(), nnx.Rngs(0))
    )
    weights = nnx.state(network, nnx.Not(nnx.RngState))
    nnx.update(network, jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), weights))
    return network


@pytest.mark.parametrize(
    ("backbone", "head", "layout"),
    [
        ("", "", "spin"),
        ("module.", "module.", "spin"),
        ("model.backbone.", "model.head.", "dsr"),
        ("module.model.backbone.", "module.model.head.", "dsr"),
        ("backbone.", "head.", "ours"),
        ("encoder.", "decoder.", ""),
    ],
)
def test_a_regressor_is_recognised_behind_any_prefix(
    tmp_path, regressor, backbone, head, layout
):
    tensors = _tensors(_prefixed(backbone, head))
    found = recognize({k: v.shape for k, v in tensors.items()}, "x")
    assert (found.layout_name, found.backbone, found.hidden) == (
        *(layout, "resnet18"),
        HIDDEN,
    )
    path = tmp_path / "model.pt"
    path.write_bytes(encode_torch_file(tensors, "state_dict"))
    report = fill_from_file(regressor, path, SETTINGS)
    assert set(report.converted) == set(tensors)
    written = to_torch(regressor, found.layout)
    for name, value in tensors.items():
        np.testing.assert_array_equal(written[name], value, err_msg=name)


def test_foreign_buffers_are_ignored_by_group(tmp_path, regressor):
    buffers = {
        "the body model's buffers": [
            "model.smpl.smpl.v_template",
            "smpl.betas",
            "smpl_native.lbs_weights",
            "model.head.smpl.J_regressor_extra",
            "J_regressor",
        ],
        "the loss's buffers": ["loss_fn.weights"],
        "ImageNet's classifier": ["model.backbone.fc.weight"],
        "counters of batches": ["model.backbone.bn1.num_batches_tracked"],
    }
    tensors = _tensors(_prefixed("model.backbone.", "model.head."))
    extra = {
        name: np.ones(3, np.float32) for group in buffers.values() for name in group
    }
    path = tmp_path / "dsr.ckpt"
    path.write_bytes(encode_torch_file(tensors | extra, "state_dict"))
    report = fill_from_file(regressor, path, SETTINGS)
    assert {k: sorted(v) for k, v in report.ignored.items()} == {
        k: sorted(v) for k, v in buffers.items()
    }
    assert report.numbers == sum(v.size for v in tensors.values())


def test_a_backbone_leaves_the_head_alone(tmp_path, regressor):
    tensors = _tensors(names.backbone("resnet18"))
    before = np.asarray(regressor.head.fc1.kernel[...])
    path = tmp_path / "r18.safetensors"
    path.write_bytes(encode_safetensors(tensors, {}))
    fill_from_file(regressor, path, dataclasses.replace(SETTINGS, hidden=HIDDEN))
    kernel = regressor.backbone.conv1.kernel[...]
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), tensors["conv1.weight"])
    np.testing.assert_array_equal(regressor.head.fc1.kernel[...], before)


def _spin():
    return _tensors(_prefixed("", ""))


MISFITS = {
    "missing": (
        {"layer2.1.bn1.bias": None},
        r"lacks 1 \(layer2.1.bn1.bias\) of the 113",
    ),
    "left over": (
        {"lstm.weight": np.ones(3, np.float32)},
        r"1 \(lstm.weight\) have no",
    ),
    "integers": ({"bn1.bias": np.ones(64, np.int8)}, "'bn1.bias' holds int8"),
    "nan": ({"bn1.bias": np.full(64, np.nan)}, "'bn1.bias' holds NaN"),
    "complex": ({"bn1.bias": np.ones(64, complex)}, "'bn1.bias' holds complex128"),
    "two networks": (
        {"ema.layer1.0.conv1.weight": np.ones(3, np.float32)},
        "holds 2 networks",
    ),
    "another network": (
        {"layer1.2.conv1.weight": np.ones(3, np.float32)},
        r"holds a ResNet of \(3, 2, 2, 2\) basic blocks",
    ),
    "no network": (
        {"layer1.0.conv1.weight": None},
        "holds no ResNet and no HRNet",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_misfit_is_named_and_nothing_is_written(tmp_path, regressor, misfit):
    change, message = MISFITS[misfit]
    tensors = {k: v for k, v in (_spin() | change).items() if v is not None}
    before = to_torch(regressor, SPIN_LAYOUT)
    path = tmp_path / "spin.pt"
    path.write_bytes(encode_torch_file(tensors, "model"))
    with pytest.raises(UserError, match=rf"spin\.pt: .*{message}"):
        fill_from_file(regressor, path, SETTINGS)
    for name, value in to_torch(regressor, SPIN_LAYOUT).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (RegressorSettings("resnet50", hidden=HIDDEN), "regressor.backbone=resnet18"),
        (RegressorSettings("resnet18", hidden=16), "regressor.hidden=8"),
    ],
)
def test_another_network_than_the_configs_is_refused(
    tmp_path, regressor, settings, message
):
    path = tmp_path / "spin.pt"
    path.write_bytes(encode_torch_file(_spin(), "model"))
    with pytest.raises(UserError, match=message):
        fill_from_file(regressor, path, settings)


def test_a_file_without_weights_by_name_is_refused(tmp_path):
    path = tmp_path / "odd.pt"
    path.write_bytes(encode_torch_file({}, "weights"))
    with pytest.raises(UserError, match=r"odd\.pt: holds no weights by name.*weights"):
        open_weights(path)
    with pytest.raises(UserError, match=r"gone\.pt: no such file"):
        open_weights(tmp_path / "gone.pt")


@pytest.mark.parametrize(
    "scalar", ["decpose.weight", "stage2.0.branches.0.0.conv1.weight"]
)
def test_a_number_in_the_place_of_weights_is_one_line(scalar):
    shapes = {"layer1.0.conv1.weight": (1,), scalar: ()}
    shapes |= {
        f"layer{stage}.{block}.conv1.weight": (1,)
        for stage in (1, 2, 3, 4)
        for block in (0, 1)
    }
    with pytest.raises(UserError, match=f"'{scalar}' is a single number"):
        recognize(shapes, "file.pt")


def test_a_damaged_safetensors_file_is_one_line(tmp_path):
    path = tmp_path / "a.safetensors"
    content = encode_safetensors({"a": np.ones((2, 3), np.float32)}, {"who": "me"})
    for cut in (12, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(UserError, match=r"a\.safetensors: not a readable"):
            open_weights(path)
    path.write_bytes(content.replace(b"[2, 3]", b"[2, 9]"))
    with pytest.raises(UserError, match=r"a tensor of \(2, 9\)"):
        open_weights(path)


@pytest.mark.parametrize(("width", "name"), [(32, "hrnet_w32"), (48, "hrnet_w48")])
def test_hrnets_are_told_by_their_width(width, name):
    shapes = {
        "layer1.0.conv1.weight": (64, 64, 1, 1),
        "stage2.0.branches.0.0.conv1.weight": (width, width, 3, 3),
    }
    found = recognize(shapes, "x")
    assert (found.backbone, found.hidden, found.layout_name) == (name, None, "hrnet")
    shapes["stage2.0.branches.0.0.conv1.weight"] = (18, 18, 3, 3)
    with pytest.raises(UserError, match="x: holds an HRNet of width 18; there is"):
        recognize(shapes, "x")


@pytest.mark.slow
def test_pose_networks_lack_the_last_way_to_coarser_branches():
    """All of it or nothing: a part alone is a mistake."""
    network = nnx.eval_shape(
        lambda: HRNet(32, jnp.dtype("float32"), nnx.Rngs(0), (1, 1, 3), 1)
    )
    weights = nnx.state(network, nnx.Not(nnx.RngState))
    nnx.update(network, jax.tree.map(lambda w: jnp.zeros(w.shape, w.dtype), weights))
    tensors = {
        name: np.ones(value.shape, np.float32)
        for name, value in to_torch(network, TorchLayout({"": ""})).items()
    }
    coarser = [f"stage4.2.fuse_layers.{i}." for i in (1, 2, 3)]
    pose = {k: v for k, v in tensors.items() if not k.startswith(tuple(coarser))}
    pose["final_layer.weight"] = np.ones(3, np.float32)
    found = recognize({k: v.shape for k, v in pose.items()}, "x")
    layout = dataclasses.replace(found.layout, prefixes={"": ""})
    report = from_torch(network, pose, layout, "pose.pth")
    assert sum(len(v) for v in report.kept.values()) == len(tensors) - len(pose) + 1
    assert set(report.ignored) == {"HRNet's heads"}
    part = next(name for name in tensors if name.startswith(coarser[0]))
    with pytest.raises(UserError, match="lacks"):
        from_torch(network, pose | {part: tensors[part]}, layout, "pose.pth")
