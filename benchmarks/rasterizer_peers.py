"""Other renderers at the same load, where they are installed.

They do not draw the same image: PyTorch3D keeps the 50 nearest faces of a pixel, deodr
has hard edges, one pixel of anti-aliasing and no faces from behind.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.rasterizer_scenes import Load, mesh_of, screen

SIGMA, GAMMA, SUPPORT, NEAR, FAR = 1e-5, 1e-1, 1e-4, 1.0, 100.0
FACES_PER_PIXEL = 50


def measure(load: Load) -> dict[str, dict[str, float]]:
    """Milliseconds of one image by every peer that is installed."""
    peers: dict[str, Callable] = {"pytorch3d": _pytorch3d, "deodr": _deodr}
    if importlib.util.find_spec("soft_renderer") and _has_cuda():
        peers["soft_renderer"] = _softras
    found = [name for name in peers if importlib.util.find_spec(name)]
    return {name: peers[name](load) for name in found}


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _median_ms(function: Callable[[], object], rounds: int) -> float:
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(times), 2)


def _pytorch3d(load: Load) -> dict[str, float]:
    """Its soft path with SoftRas's blending, for any number of channels."""
    import torch
    from pytorch3d.ops import interpolate_face_attributes
    from pytorch3d.renderer.mesh import rasterize_meshes
    from pytorch3d.structures import Meshes

    device = "cuda" if torch.cuda.is_available() else "cpu"
    vertices = torch.tensor(screen(load)[:1] * [-1, 1, 1], dtype=torch.float32)
    vertices = vertices.to(device).requires_grad_()
    faces = torch.tensor(mesh_of(load.mesh)[1], dtype=torch.int64, device=device)
    colors = torch.rand(vertices.shape[1], load.channels, device=device)
    colors.requires_grad_()
    weights = torch.randn(*load.image_size, load.channels + 1, device=device)
    radius = SIGMA * np.log(1 / SUPPORT - 1)

    def draw():
        fragments = rasterize_meshes(
            Meshes(vertices, faces[None]),
            image_size=load.image_size,
            blur_radius=radius,
            faces_per_pixel=FACES_PER_PIXEL,
            clip_barycentric_coords=True,
        )
        index, depth, barycentric, distance = fragments
        texels = interpolate_face_attributes(index, barycentric, colors[faces])
        mask = index >= 0
        coverage = torch.sigmoid(-distance / SIGMA) * mask
        alpha = 1 - torch.prod(1 - coverage, -1)
        near_first = (FAR - depth) / (FAR - NEAR) * mask
        largest = near_first.max(-1, keepdim=True).values.clamp(min=1e-3)
        weight = coverage * torch.exp((near_first - largest) / GAMMA)
        behind = torch.exp((1e-3 - largest) / GAMMA)
        image = (weight[..., None] * texels).sum(-2)
        return image / (weight.sum(-1, keepdim=True) + behind), alpha

    def forward():
        with torch.no_grad():
            draw()
        if device == "cuda":
            torch.cuda.synchronize()

    def both():
        image, alpha = draw()
        total = (image[0] * weights[..., :-1]).sum() + (
            alpha[0] * weights[..., -1]
        ).sum()
        total.backward()
        if device == "cuda":
            torch.cuda.synchronize()

    rounds = 20 if device == "cuda" else 2
    return {
        "forward_ms": _median_ms(forward, rounds),
        "both_ms": _median_ms(both, rounds),
    }


def _softras(load: Load) -> dict[str, float]:
    """Its CUDA kernels, square images only: one render for each three channels."""
    import torch
    from soft_renderer.functional import soft_rasterize

    faces = torch.tensor(mesh_of(load.mesh)[1], dtype=torch.int64, device="cuda")
    vertices = torch.tensor(screen(load)[:1], device="cuda").requires_grad_()
    renders = -(-load.channels // 3)
    colors = [
        torch.rand(1, vertices.shape[1], 3, device="cuda").requires_grad_()
        for _ in range(renders)
    ]
    weights = torch.randn(renders, 4, *load.image_size, device="cuda")

    def draw():
        triangles = vertices[:, faces]
        return [
            soft_rasterize(
                triangles,
                color[:, faces],
                load.image_size[0],
                near=NEAR,
                far=FAR,
                sigma_val=SIGMA,
                dist_eps=SUPPORT,
                gamma_val=GAMMA,
                texture_type="vertex",
            )
            for color in colors
        ]

    def forward():
        with torch.no_grad():
            draw()
        torch.cuda.synchronize()

    def both():
        images = draw()
        sum((i[0] * w).sum() for i, w in zip(images, weights, strict=True)).backward()
        torch.cuda.synchronize()

    return {"forward_ms": _median_ms(forward, 20), "both_ms": _median_ms(both, 20)}


def _deodr(load: Load) -> dict[str, float]:
    """Hard edges in C++; the derivative of a squared difference of images."""
    from deodr.differentiable_renderer import Scene2D

    height, width = load.image_size
    shorter = min(height, width)
    vertices, faces = screen(load)[0].astype(np.float64), mesh_of(load.mesh)[1]
    column = (vertices[:, 0] * shorter + width - 1) / 2
    row = (height - 1 - vertices[:, 1] * shorter) / 2
    count, channels = len(vertices), load.channels
    scene = Scene2D(
        faces=faces.astype(np.uint32),
        faces_uv=faces.astype(np.uint32),
        ij=np.stack([column, row], -1),
        depths=vertices[:, 2].copy(),
        textured=np.zeros(len(faces), bool),
        uv=np.zeros((count, 2)),
        shade=np.zeros(count),
        colors=np.random.default_rng(0).uniform(size=(count, channels)),
        shaded=np.zeros(len(faces), bool),
        edgeflags=np.ones((len(faces), 3), bool),
        height=height,
        width=width,
        nb_colors=channels,
        texture=np.zeros((2, 2, channels)),
        background_color=np.zeros(channels),
        clockwise=False,
        backface_culling=True,
    )
    target = np.random.default_rng(1).uniform(size=(height, width, channels))
    drawn = max((_drawn(scene, clockwise), clockwise) for clockwise in (False, True))
    scene.clockwise = drawn[1]
    return {
        "forward_ms": _median_ms(lambda: scene.render(1), 10),
        "both_ms": _median_ms(lambda: scene.render_compare_and_backward(target), 10),
    }


def _drawn(scene, clockwise: bool) -> float:
    """How near the nearest faces are: front faces are nearer than back faces."""
    scene.clockwise = clockwise
    _, depth = scene.render(1)
    return -float(np.mean(depth[np.isfinite(depth)]))
