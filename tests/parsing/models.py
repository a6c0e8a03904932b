"""Small ONNX parsers, and the same networks written in NumPy.

Whoever lacks the extra `parsing` or onnx skips the tests that import this.
"""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
helper, TensorProto = onnx.helper, onnx.TensorProto

OPSET = 17


def save(path, nodes, tensors, inputs, outputs):
    """One input `image`; outputs are (name, shape, type)."""
    graph = helper.make_graph(
        nodes,
        "parser",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, inputs)],
        [
            helper.make_tensor_value_info(name, kind, dims)
            for name, dims, kind in outputs
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


class ColourNet:
    """Logits = (A · colour + b + side · column) of 2 x 2 means: stride 2, uneven sides.

    `side` multiplies the column's place from -1 to 1 in the input, so that the network
    knows left from right and a mirrored input gives something else.
    """

    def __init__(self, labels, seed, stride=2):
        generator = np.random.default_rng(seed)
        self.stride = stride
        self.weights = generator.normal(size=(labels, 3)).astype(np.float32) * 3
        self.bias = generator.normal(size=labels).astype(np.float32)
        self.side = generator.normal(size=labels).astype(np.float32) * 3

    def logits(self, pixels):
        """(h, w, 3) float → (L, h/stride, w/stride), in float64."""
        height, width, _ = pixels.shape
        ramp = 2 * np.arange(width) / (width - 1) - 1
        full = np.einsum("lc,hwc->lhw", self.weights.astype(float), pixels)
        full += self.bias[:, None, None] + self.side[:, None, None] * ramp
        s = self.stride
        rows, columns = height // s, width // s
        blocks = full[:, : rows * s, : columns * s].reshape(-1, rows, s, columns, s)
        return blocks.mean((2, 4))

    def save(self, path, size=(None, None), softmax=False, batch=1):
        """The same as a file: Conv 1x1, plus a ramp made from the input's width."""
        nodes = [
            helper.make_node("Conv", ["image", "weights", "bias"], ["coloured"]),
            helper.make_node("Shape", ["image"], ["width"], start=3, end=4),
            helper.make_node("Squeeze", ["width"], ["count"]),
            helper.make_node("Range", ["zero", "count", "one"], ["columns"]),
            helper.make_node("Cast", ["columns"], ["place"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["count"], ["countf"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["countf", "onef"], ["last"]),
            helper.make_node("Div", ["place", "last"], ["share"]),
            helper.make_node("Mul", ["share", "twof"], ["twice"]),
            helper.make_node("Sub", ["twice", "onef"], ["ramp"]),
            helper.make_node("Mul", ["side", "ramp"], ["sided"]),
            helper.make_node("Add", ["coloured", "sided"], ["full"]),
            helper.make_node(
                "AveragePool",
                ["full"],
                ["logits"],
                kernel_shape=[self.stride] * 2,
                strides=[self.stride] * 2,
            ),
        ]
        if softmax:
            nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=1))
        labels = len(self.bias)
        tensors = {
            "weights": self.weights[..., None, None],
            "bias": self.bias,
            "side": self.side.reshape(1, -1, 1, 1),
            "zero": np.array(0),
            "one": np.array(1),
            "onef": np.array(1, np.float32),
            "twof": np.array(2, np.float32),
        }
        out = ("scores" if softmax else "logits", [batch, labels, None, None])
        return save(
            path, nodes, tensors, [batch, 3, *size], [(*out, TensorProto.FLOAT)]
        )


def save_painter(path, labels, size=(None, None), indices=False, strict=50.0):
    """A parser of grey pictures: grey level 10·l (of 255) has the label l.

    Logits are -strict · (grey - 10·l/255)², of every pixel; label numbers if `indices`.
    """
    levels = np.arange(labels, dtype=np.float32) * 10 / 255
    tensors = {
        "weights": np.full((labels, 3, 1, 1), 1 / 3, np.float32),
        "bias": -levels,
        "strict": np.array(-strict, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "weights", "bias"], ["difference"]),
        helper.make_node("Mul", ["difference", "difference"], ["square"]),
        helper.make_node("Mul", ["square", "strict"], ["logits"]),
    ]
    out = ("logits", [1, labels, *size], TensorProto.FLOAT)
    if indices:
        nodes.append(
            helper.make_node("ArgMax", ["logits"], ["labels"], axis=1, keepdims=0)
        )
        out = ("labels", [1, *size], TensorProto.INT64)
    return save(path, nodes, tensors, [1, 3, *size], [out])


def painted(labels):
    """The picture that `save_painter` reads these labels from."""
    return np.repeat((labels * 10).astype(np.uint8)[..., None], 3, -1)
