"""The loads of `benchmarks/rasterizer.py`: meshes, sizes, channels, batches."""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Load:
    """One row of the table: `batch` images of one mesh, each turned a little."""

    suite: str
    mesh: str  # "free", "ico5" (an icosphere of 20·4^5 faces), "uv14x11" (a sphere)
    image_size: tuple[int, int]
    channels: int
    batch: int
    peers: bool = False

    @property
    def name(self) -> str:
        """Mesh, size, channels and batch in one line."""
        height, width = self.image_size
        return f"{self.mesh} {height}×{width} C{self.channels} N{self.batch}"


def loads() -> list[Load]:
    """DSR's load; PyTorch3D's grid; the 1024² table of other papers; growth."""
    dsr = [
        Load("dsr", "free", (224, 224), c, n, peers=n == 1)
        for c in (5, 9)
        for n in (1, 8, 64)
    ]
    sizes = [(64, 64), (128, 128), (256, 256), (512, 512), (256, 512), (512, 128)]
    grid = [
        Load("icospheres", f"ico{level}", size, 3, 1)
        for level in (4, 5, 6)
        for size in sizes
    ]
    # 280, 3 300 and 39 000 faces
    large = [
        Load("1024", mesh, (1024, 1024), 3, 1)
        for mesh in ("uv14x11", "uv50x34", "uv150x131")
    ]
    return dsr + grid + large + [load for pair in growth().values() for load in pair]


def growth() -> dict[str, tuple[Load, Load]]:
    """What doubles, and the loads before and after."""
    base = Load("growth", "uv100x52", (224, 224), 5, 4)  # 10 200 faces
    change = functools.partial(dataclasses.replace, base)
    return {
        "faces": (base, change(mesh="uv100x103")),
        "pixels": (base, change(image_size=(317, 317))),
        "channels": (base, change(channels=10)),
        "images": (base, change(batch=8)),
    }


@functools.cache
def mesh_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) within the unit sphere, y up, z to the viewer; faces (F, 3)."""
    if name.startswith("ico"):
        import trimesh

        sphere = trimesh.creation.icosphere(subdivisions=int(name[3:]))
        return np.asarray(sphere.vertices), np.asarray(sphere.faces, np.int32)
    if name.startswith("uv"):
        around, down = map(int, name[2:].split("x"))
        return _uv_sphere(around, down)
    from dsr_jax.body import BodyParams, load_body, pose_body

    body = load_body(name)
    pose = np.tile(np.eye(3, dtype=np.float32), (24, 1, 1))
    # Arms down by 55°: a standing person, which fills the crop better than a T.
    for joint, sign in ((16, -1), (17, 1)):
        c, s = np.cos(np.radians(55)), sign * np.sin(np.radians(55))
        pose[joint] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    vertices = np.asarray(pose_body(body, BodyParams(pose, np.zeros(10))).vertices)
    vertices = vertices - (vertices.max(0) + vertices.min(0)) / 2
    return vertices / np.abs(vertices[:, 1]).max(), np.asarray(body.faces)


def _uv_sphere(around: int, down: int) -> tuple[np.ndarray, np.ndarray]:
    """2·around·(down − 1) faces."""
    phi = 2 * np.pi * np.arange(around) / around
    theta = np.pi * np.arange(1, down) / down
    ring = np.stack([np.sin(phi), np.zeros(around), np.cos(phi)], -1)
    points = ring * np.sin(theta)[:, None, None]
    points[..., 1] = np.cos(theta)[:, None]
    vertices = np.concatenate([points.reshape(-1, 3), [[0, 1, 0], [0, -1, 0]]])
    i, j = np.meshgrid(np.arange(down - 2), np.arange(around), indexing="ij")
    a, b = (i * around + j).ravel(), (i * around + (j + 1) % around).ravel()
    quads = [np.stack([a, a + around, b + around]), np.stack([a, b + around, b])]
    top, bottom = len(vertices) - 2, len(vertices) - 1
    j = np.arange(around)
    last = (down - 2) * around
    caps = [
        np.stack([np.full(around, top), j, (j + 1) % around]),
        np.stack([np.full(around, bottom), last + (j + 1) % around, last + j]),
    ]
    faces = np.concatenate([q.T for q in (*quads, *caps)])
    return vertices, faces.astype(np.int32)


def screen(load: Load) -> np.ndarray:
    """(batch, V, 3) float32: the mesh fills 95 % of the image's height, 3 m away."""
    vertices, _ = mesh_of(load.mesh)
    height, width = load.image_size
    angles = np.linspace(0, 2 * np.pi, load.batch, endpoint=False) + 0.1
    turned = []
    for angle in angles:
        c, s = np.cos(angle), np.sin(angle)
        turned.append(vertices @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]))
    points = np.stack(turned)
    scale = 0.95 * height / min(height, width)
    xy = points[..., :2] * scale
    return np.concatenate([xy, 3 - points[..., 2:]], -1).astype(np.float32)
