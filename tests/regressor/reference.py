"""The network in float64 NumPy, from its equations and PyTorch's parameter names."""

import numpy as np


def convolve(x, weight, stride, padding):
    """Cross-correlation of (B, H, W, C) with a PyTorch kernel (D, C, K, K)."""
    size = weight.shape[-1]
    margin = (padding, padding)
    padded = np.pad(x, ((0, 0), margin, margin, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    return np.einsum("bhwcij,dcij->bhwd", windows[:, ::stride, ::stride], weight)


def max_pool(x):
    margin = (1, 1)
    padded = np.pad(x, ((0, 0), margin, margin, (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return windows[:, ::2, ::2].max((-1, -2))


def batch_norm(x, weights, name):
    """Evaluation mode: running statistics, epsilon 1e-5."""
    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    normal = (x - mean) / np.sqrt(variance + 1e-5)
    return normal * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def relu(x):
    return np.maximum(x, 0)


def block(x, weights, name, stride):
    """A basic block or a bottleneck, whichever the names say."""
    layers = [i for i in (1, 2, 3) if f"{name}.conv{i}.weight" in weights]
    strided = 1 if len(layers) == 2 else 2
    y = x
    for i in layers:
        kernel = weights[f"{name}.conv{i}.weight"]
        step = stride if i == strided else 1
        y = convolve(y, kernel, step, kernel.shape[-1] // 2)
        y = batch_norm(y, weights, f"{name}.bn{i}")
        y = relu(y) if i != layers[-1] else y
    if f"{name}.downsample.0.weight" in weights:
        x = convolve(x, weights[f"{name}.downsample.0.weight"], stride, 0)
        x = batch_norm(x, weights, f"{name}.downsample.1")
    return relu(x + y)


def resnet(image, weights):
    x = relu(batch_norm(convolve(image, weights["conv1.weight"], 2, 3), weights, "bn1"))
    x = max_pool(x)
    for stage in (1, 2, 3, 4):
        depth = 0
        while f"layer{stage}.{depth}.conv1.weight" in weights:
            stride = 2 if depth == 0 and stage > 1 else 1
            x = block(x, weights, f"layer{stage}.{depth}", stride)
            depth += 1
    return x.mean((1, 2))


def head(features, weights, iterations):
    """Final 6D rotations (B, 144), betas and camera."""
    state = [
        np.repeat(weights[name], len(features), 0)
        for name in ("init_pose", "init_shape", "init_cam")
    ]
    for _ in range(iterations):
        hidden = np.concatenate([features, *state], 1)
        for name in ("fc1", "fc2"):
            hidden = hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        state = [
            value + hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
            for value, name in zip(
                state, ("decpose", "decshape", "deccam"), strict=True
            )
        ]
    return state
