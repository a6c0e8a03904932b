"""HMR and HRNet in PyTorch, from the papers and the names of the published weights.

Written for the tests of parity; slow and plain. Importing it needs PyTorch.
"""

import torch
from torch import nn
from torch.nn import functional


def norm(channels):
    return nn.BatchNorm2d(channels)


class Block(nn.Module):
    """A residual block; one of `sizes` kernels, the strided one is the first 3 × 3."""

    def __init__(self, inputs, width, outputs, stride, sizes):
        super().__init__()
        self.layers = len(sizes)
        channels = [inputs, *[width] * (len(sizes) - 1), outputs]
        strided = sizes.index(3)
        for i, size in enumerate(sizes):
            step = stride if i == strided else 1
            layer = nn.Conv2d(
                channels[i], channels[i + 1], size, step, size // 2, bias=False
            )
            setattr(self, f"conv{i + 1}", layer)
            setattr(self, f"bn{i + 1}", norm(channels[i + 1]))
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs)
            )

    def forward(self, x):
        y = x
        for i in range(1, self.layers + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = functional.relu(y) if i < self.layers else y
        return functional.relu(
            y + (self.downsample(x) if hasattr(self, "downsample") else x)
        )


def basic(inputs, width, stride):
    return Block(inputs, width, width, stride, (3, 3))


def bottleneck(inputs, width, stride):
    return Block(inputs, width, 4 * width, stride, (1, 3, 1))


class ResNet(nn.Module):
    def __init__(self, block, expansion, depths):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm(64)
        inputs = 64
        for stage, depth in enumerate(depths):
            width = 64 * 2**stage
            blocks = []
            for i in range(depth):
                blocks.append(block(inputs, width, 2 if i == 0 and stage else 1))
                inputs = width * expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = inputs

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean((2, 3))


def resnet18():
    return ResNet(basic, 1, (2, 2, 2, 2))


def resnet50():
    return ResNet(bottleneck, 4, (3, 4, 6, 3))


class Head(nn.Module):
    """HMR's iterations, without dropout: its masks are not comparable."""

    def __init__(self, features, hidden):
        super().__init__()
        self.fc1 = nn.Linear(features + 157, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.decpose = nn.Linear(hidden, 144)
        self.decshape = nn.Linear(hidden, 10)
        self.deccam = nn.Linear(hidden, 3)
        self.register_buffer("init_pose", torch.randn(1, 144))
        self.register_buffer("init_shape", torch.randn(1, 10))
        self.register_buffer("init_cam", torch.randn(1, 3))

    def forward(self, features):
        count = len(features)
        pose = self.init_pose.expand(count, -1)
        shape = self.init_shape.expand(count, -1)
        camera = self.init_cam.expand(count, -1)
        for _ in range(3):
            state = torch.cat([features, pose, shape, camera], 1)
            state = self.fc2(self.fc1(state))
            pose = pose + self.decpose(state)
            shape = shape + self.decshape(state)
            camera = camera + self.deccam(state)
        return rotations(pose), shape, camera


def rotations(pose):
    """Zhou et al., eq. 6, on rows of three times two numbers: HMR's, SPIN's, DSR's."""
    pairs = pose.reshape(-1, 3, 2)
    first, second = pairs[:, :, 0], pairs[:, :, 1]
    x = first / first.norm(dim=1, keepdim=True)
    rest = second - (x * second).sum(1, keepdim=True) * x
    y = rest / rest.norm(dim=1, keepdim=True)
    z = torch.linalg.cross(x, y)
    return torch.stack([x, y, z], 2).reshape(len(pose), 24, 3, 3)


class HMR(nn.Module):
    """`flat`: SPIN's and EFT's names; otherwise those of PARE and DSR."""

    def __init__(self, backbone, hidden=1024):
        super().__init__()
        self.backbone = backbone
        self.head = Head(backbone.features, hidden)

    def forward(self, image):
        features = self.backbone(image)
        return features, *self.head(features)


def unit(inputs, outputs, size, stride):
    padding = size // 2
    return [
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False),
        norm(outputs),
    ]


class Exchange(nn.Module):
    def __init__(self, widths, outputs, blocks):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*[basic(w, w, 1) for _ in range(blocks)]) for w in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self.fusion(widths, i, j) for j in range(len(widths)))
            for i in range(outputs)
        )

    @staticmethod
    def fusion(widths, i, j):
        if j == i:
            return None
        if j > i:
            enlarge = nn.Upsample(scale_factor=2 ** (j - i), mode="nearest")
            return nn.Sequential(*unit(widths[j], widths[i], 1, 1), enlarge)
        steps = [
            nn.Sequential(*unit(widths[j], widths[j], 3, 2), nn.ReLU())
            for _ in range(i - j - 1)
        ]
        return nn.Sequential(*steps, nn.Sequential(*unit(widths[j], widths[i], 3, 2)))

    def forward(self, maps):
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        results = []
        for row in self.fuse_layers:
            parts = [x if f is None else f(x) for f, x in zip(row, maps, strict=True)]
            results.append(functional.relu(sum(parts)))
        return results


class HRNet(nn.Module):
    """`pose` is the network of the published pose weights: one output, and a head."""

    def __init__(self, width, pose=False, modules=(1, 4, 3), depth=4):
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.conv1, self.bn1 = unit(3, 64, 3, 2)
        self.conv2, self.bn2 = unit(64, 64, 3, 2)
        blocks = [bottleneck(64 if i == 0 else 256, 64, 1) for i in range(depth)]
        self.layer1 = nn.Sequential(*blocks)
        self.transition1 = nn.ModuleList(
            [
                nn.Sequential(*unit(256, widths[0], 3, 1), nn.ReLU()),
                nn.Sequential(nn.Sequential(*unit(256, widths[1], 3, 2), nn.ReLU())),
            ]
        )
        stages = [
            [Exchange(widths[:n], n, depth) for _ in range(count)]
            for n, count in zip((2, 3, 4), modules, strict=True)
        ]
        if pose:
            stages[2][-1] = Exchange(widths, 1, depth)
        self.stage2, self.stage3, self.stage4 = (nn.Sequential(*s) for s in stages)
        self.transition2 = self.transition(widths, 2)
        self.transition3 = self.transition(widths, 3)
        if pose:
            self.final_layer = nn.Conv2d(width, 17, 1)
        self.features = 15 * width

    @staticmethod
    def transition(widths, branches):
        new = unit(widths[branches - 1], widths[branches], 3, 2)
        new = nn.Sequential(nn.Sequential(*new, nn.ReLU()))
        return nn.ModuleList([*[None] * branches, new])

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = self.layer1(x)
        maps = self.stage2([layer(x) for layer in self.transition1])
        maps = self.stage3([*maps, self.transition2[-1](maps[-1])])
        maps = self.stage4([*maps, self.transition3[-1](maps[-1])])
        size = maps[0].shape[2:]
        same = [
            functional.interpolate(x, size, mode="bilinear", align_corners=True)
            for x in maps
        ]
        return torch.cat(same, 1).mean((2, 3))


def randomize(model, seed=0):
    """Weights like trained ones: no layer dies and none explodes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(module, nn.Conv2d):
                fan = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan) ** 0.5, generator=generator)
            elif isinstance(module, nn.Linear):
                fan = module.in_features
                module.weight.normal_(0, fan**-0.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
        for module in model.modules():
            if isinstance(module, Block):
                # As in trained networks; otherwise the sum of the blocks explodes.
                getattr(module, f"bn{module.layers}").weight.mul_(0.3)
    return model
