"""Names and shapes in torchvision's ResNets and SPIN's head, by their rule."""

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
PARAMETER_COUNTS = {"resnet18": 11_176_512, "resnet50": 23_508_032}


def norm(name, channels):
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (channels,) for leaf in leaves}


def backbone(name):
    """Shapes by name, without the classifier and the batch counters."""
    expansion = 4 if name == "resnet50" else 1
    shapes = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    inputs = 64
    for stage, depth in enumerate(DEPTHS[name]):
        width = 64 * 2**stage
        for i in range(depth):
            prefix = f"layer{stage + 1}.{i}"
            shapes |= block(prefix, inputs, width, expansion)
            if i == 0 and (stage > 0 or expansion > 1):
                outputs = width * expansion
                shapes[f"{prefix}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                shapes |= norm(f"{prefix}.downsample.1", outputs)
            inputs = width * expansion
    return shapes


def block(prefix, inputs, width, expansion):
    kernels = (
        [(width, inputs, 3, 3), (width, width, 3, 3)]
        if expansion == 1
        else [(width, inputs, 1, 1), (width, width, 3, 3), (width * 4, width, 1, 1)]
    )
    shapes = {}
    for i, kernel in enumerate(kernels, start=1):
        shapes[f"{prefix}.conv{i}.weight"] = kernel
        shapes |= norm(f"{prefix}.bn{i}", kernel[0])
    return shapes


def head(features, hidden):
    shapes = {"init_pose": (1, 144), "init_shape": (1, 10), "init_cam": (1, 3)}
    layers = {
        "fc1": (hidden, features + 157),
        "fc2": (hidden, hidden),
        "decpose": (144, hidden),
        "decshape": (10, hidden),
        "deccam": (3, hidden),
    }
    for name, (outputs, inputs) in layers.items():
        shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    return shapes
