import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dsr_jax.errors import UserError
from dsr_jax.regressor import (
    DSR_LAYOUT,
    SPIN_LAYOUT,
    TORCHVISION_LAYOUT,
    Regressor,
    RegressorSettings,
    default_mean_parameters,
    from_torch,
    to_torch,
)
from tests.regressor import names

HIDDEN = 8


@pytest.fixture(scope="module")
def model():
    return _untrained("resnet18")


def _untrained(backbone):
    """A regressor of zeros, which needs no random draw."""
    settings = RegressorSettings(backbone=backbone, hidden=HIDDEN)
    network = nnx.eval_shape(
        lambda: Regressor(settings, default_mean_parameters(), nnx.Rngs(0))
    )
    weights = nnx.state(network, nnx.Not(nnx.RngState))
    nnx.update(network, jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), weights))
    return network


def _tensors(shapes):
    random = np.random.default_rng(0)
    return {k: random.random(shape, np.float32) for k, shape in shapes.items()}


def _spin():
    shapes = names.backbone("resnet18") | names.head(512, HIDDEN)
    counters = {"bn1.num_batches_tracked": np.asarray(7)}
    return _tensors(shapes) | counters


def _without_counters(tensors):
    return {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}


def _assert_same(result, expected):
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value, err_msg=name)


def test_spin_weights_go_there_and_back(model):
    tensors = _spin()
    from_torch(model, tensors, SPIN_LAYOUT, "spin.pt")
    _assert_same(to_torch(model, SPIN_LAYOUT), _without_counters(tensors))


def test_dsr_names_are_spins_behind_their_prefixes(model):
    parts = {"backbone": names.backbone("resnet18"), "head": names.head(512, HIDDEN)}
    tensors = {
        f"model.{part}.{name}": value
        for part, shapes in parts.items()
        for name, value in _tensors(shapes).items()
    }
    from_torch(model, tensors, DSR_LAYOUT, "dsr.ckpt")
    _assert_same(to_torch(model, DSR_LAYOUT), tensors)


def test_imagenet_weights_fill_the_backbone_without_their_classifier(model):
    tensors = _tensors(names.backbone("resnet18"))
    classifier = {"fc.weight": np.zeros((1000, 512)), "fc.bias": np.zeros(1000)}
    from_torch(model.backbone, tensors | classifier, TORCHVISION_LAYOUT, "r18.pth")
    _assert_same(to_torch(model.backbone, TORCHVISION_LAYOUT), tensors)


def test_axes_are_turned(model):
    tensors = _spin()
    from_torch(model, tensors, SPIN_LAYOUT, "spin.pt")
    kernel = model.backbone.layer2[0].downsample[0].kernel[...]
    assert kernel[0, 0, 5, 7] == tensors["layer2.0.downsample.0.weight"][7, 5, 0, 0]
    kernel = model.backbone.conv1.kernel[...]
    assert kernel[1, 6, 2, 9] == tensors["conv1.weight"][9, 2, 1, 6]
    assert model.head.fc1.kernel[600, 3] == tensors["fc1.weight"][3, 600]


def test_resnet50_has_torchvisions_names():
    network = _untrained("resnet50")
    shapes = {
        name: value.shape for name, value in to_torch(network, SPIN_LAYOUT).items()
    }
    assert shapes == names.backbone("resnet50") | names.head(2048, HIDDEN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer3.0.bn2.bias": None}, r"lacks 1 \(layer3.0.bn2.bias\) of the 113"),
        (
            {"layer5.0.conv1.weight": np.zeros(3)},
            r"1 \(layer5.0.conv1.weight\) have no",
        ),
        ({"fc.weight": np.zeros(3)}, r"1 \(fc.weight\) have no place"),
        ({"fc2.weight": np.zeros((4, 8))}, r"'fc2.weight' has shape \(4, 8\)"),
        ({"bn1.weight": np.zeros((64, 1, 1))}, r"'bn1.weight' has shape \(64, 1, 1\)"),
    ],
)
def test_a_misfit_is_named_and_nothing_is_written(model, change, message):
    before = to_torch(model, SPIN_LAYOUT)
    tensors = {k: v + 1 for k, v in before.items()} | change
    tensors = {k: v for k, v in tensors.items() if v is not None}
    with pytest.raises(UserError, match=f"spin.pt: .*{message}"):
        from_torch(model, tensors, SPIN_LAYOUT, "spin.pt")
    _assert_same(to_torch(model, SPIN_LAYOUT), before)


def test_weights_keep_their_type(model):
    tensors = {k: v.astype(np.float64) for k, v in to_torch(model, SPIN_LAYOUT).items()}
    from_torch(model, tensors, SPIN_LAYOUT, "spin.pt")
    assert model.head.fc1.kernel[...].dtype == jnp.float32
