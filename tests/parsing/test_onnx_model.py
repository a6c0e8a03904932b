"""Files that are no parsers: one line each, and what it names."""

import sys

import numpy as np
import pytest

from dsr_jax.errors import UserError
from dsr_jax.parsing.onnx_file import model_hash
from dsr_jax.parsing.onnx_model import OnnxModel
from tests.parsing.models import (
    ColourNet,
    TensorProto,
    helper,
    onnx,
    save,
    save_painter,
)


def _identity(path, inputs, outputs=("labels", [1, 3, None, None])):
    nodes = [helper.make_node("Identity", ["image"], ["labels"])]
    return save(path, nodes, {}, inputs, [(*outputs, TensorProto.FLOAT)])


def test_what_is_no_model(tmp_path):
    with pytest.raises(UserError, match="no such model"):
        OnnxModel(tmp_path / "none.onnx", 20)
    (tmp_path / "a.onnx").write_bytes(b"weights")
    with pytest.raises(UserError, match="not a model that onnxruntime can load"):
        OnnxModel(tmp_path / "a.onnx", 20)


def test_onnxruntime_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[parsing\]'"):
        OnnxModel(tmp_path / "a.onnx", 20)


def test_a_missing_provider_is_named(tmp_path):
    path = save_painter(tmp_path / "a.onnx", 20)
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(UserError, match="onnxruntime-gpu"):
        OnnxModel(path, 20, provider="cuda")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([1, 4, None, None], "no axis of 3 colours"),
        ([2, 3, None, None], "takes 2 images at once"),
        ([3, None, None], "needs one input"),
    ],
)
def test_other_inputs_are_refused(tmp_path, inputs, message):
    path = _identity(tmp_path / "a.onnx", inputs, ("labels", [None] * len(inputs)))
    with pytest.raises(UserError, match=message):
        OnnxModel(path, 3)


def test_declared_and_undeclared_numbers_of_labels(tmp_path):
    declared = save_painter(tmp_path / "a.onnx", 18)
    with pytest.raises(UserError, match=r"1 x 20 x h x w is needed.*outputs: 'logits'"):
        OnnxModel(declared, 20)
    free = _identity(tmp_path / "b.onnx", [None] * 4, ("labels", [None] * 4))
    image = np.zeros((4, 5, 3), np.float32)
    assert OnnxModel(free, 3).run(image).shape == (3, 4, 5)
    with pytest.raises(UserError, match="1 x 3 x 4 x 5"):
        OnnxModel(free, 20).run(image)


def test_outputs_are_chosen_by_number_or_name(tmp_path):
    nodes = [
        helper.make_node("Identity", ["image"], ["edges"]),
        helper.make_node("Concat", ["image", "image"], ["parts"], axis=1),
    ]
    shapes = [("edges", [1, 3, None, None]), ("parts", [1, 6, None, None])]
    outputs = [(*shape, TensorProto.FLOAT) for shape in shapes]
    path = save(tmp_path / "a.onnx", nodes, {}, [1, 3, None, None], outputs)
    for chosen in (1, "parts"):
        assert OnnxModel(path, 6, chosen).output.name == "parts"
    with pytest.raises(UserError, match="'parts'"):
        OnnxModel(path, 6)
    with pytest.raises(UserError, match="no output number 2"):
        OnnxModel(path, 6, 2)
    with pytest.raises(UserError, match="did you mean 'parts'"):
        OnnxModel(path, 6, "part")


def test_channels_may_come_last(tmp_path):
    path = _identity(tmp_path / "a.onnx", [1, None, None, 3], ("labels", [None] * 4))
    image = np.random.default_rng(0).random((4, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        OnnxModel(path, 3).run(image), image.transpose(2, 0, 1)
    )


def test_half_precision_and_values_that_are_not_finite(tmp_path):
    path = ColourNet(20, seed=0, stride=1).save(tmp_path / "a.onnx")
    with pytest.raises(UserError, match="not finite"):
        OnnxModel(path, 20).run(np.full((3, 3, 3), np.inf, np.float32))
    half = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["labels"])],
        "half",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT16, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("labels", TensorProto.FLOAT16, [1, 3, 4, 4])],
    )
    model = helper.make_model(half, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(tmp_path / "half.onnx"))
    found = OnnxModel(tmp_path / "half.onnx", 3).run(np.ones((4, 4, 3), np.float32))
    assert found.dtype == np.float32 and (found == 1).all()


def test_labels_beyond_the_taxonomy_are_refused(tmp_path):
    path = save_painter(tmp_path / "a.onnx", 20, indices=True)
    image = np.full((4, 4, 3), 190 / 255, np.float32)
    assert (OnnxModel(path, 20).run(image) == 19).all()
    with pytest.raises(UserError, match="gives the label 19"):
        OnnxModel(path, 18).run(image)


def test_a_run_that_fails_is_one_line(tmp_path):
    path = save_painter(tmp_path / "a.onnx", 20, (8, 8))
    with pytest.raises(UserError, match="fails on an input of 4 x 6 pixels") as caught:
        OnnxModel(path, 20).run(np.zeros((6, 4, 3), np.float32))
    assert "\n" not in str(caught.value)


def test_the_hash_covers_weights_beside_the_file(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"graph")
    alone = model_hash(path)
    (tmp_path / "a.onnx.data").write_bytes(b"weights")
    assert model_hash(path) != alone
    with pytest.raises(UserError, match="check --model"):
        model_hash(tmp_path / "none.onnx")
