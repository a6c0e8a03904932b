"""Imports go one way: each package may use only those before it."""

import ast
import pathlib

import pytest

import dsr_jax

ROOT = pathlib.Path(dsr_jax.__file__).parent
BASE = {"arrays", "numerics", "rotations", "errors", "files", "settings"}
BASE |= {"npz_file", "untrusted_pickle", "hosts"}
DOMAIN = {"body", "camera", "rasterizer", "semantics"}
MODELS = {"data", "regressor"}
# The layers in order; a module may import earlier layers and its own package.
ALLOWED = {name: set(BASE) for name in BASE}
ALLOWED |= {name: BASE for name in DOMAIN}
ALLOWED |= {name: BASE | DOMAIN for name in MODELS}
ALLOWED["parsing"] = BASE | DOMAIN | {"data"}
ALLOWED["losses"] = BASE | DOMAIN | MODELS
ALLOWED["pipeline"] = ALLOWED["losses"] | {"losses"}
TOP = ALLOWED["pipeline"] | {"pipeline"}
ALLOWED["export"] = TOP
ALLOWED["evaluation"] = TOP
ALLOWED["visualization"] = TOP
ALLOWED["training"] = TOP | {"evaluation", "visualization"}
ALLOWED["fitting"] = ALLOWED["training"] | {"training"}


def modules():
    return sorted(ROOT.rglob("*.py"))


def imported(path: pathlib.Path) -> set[str]:
    """First-level parts of dsr_jax that the file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {n.split(".")[1] for n in names if n.startswith("dsr_jax.")}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_direction(path):
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part == "__init__":
        assert not imported(path)
        return
    wrong = imported(path) - ALLOWED[part] - {part}
    assert not wrong, f"{part} must not import {sorted(wrong)}"


def test_rasterizer_needs_only_jax_and_numpy():
    """A library in its own right: nothing else of what we depend on is loaded."""
    import subprocess
    import sys

    code = (
        "import sys, dsr_jax.rasterizer as r, jax.numpy as jnp;"
        "s = r.RasterSettings((4, 4));"
        "v, f = jnp.ones((3, 3)), jnp.zeros((1, 3), int);"
        "r.rasterize(v, f, s, vertex_attributes=jnp.ones((3, 1)));"
        "heavy = ['flax', 'optax', 'orbax', 'cv2', 'trimesh', 'jaxtyping'];"
        "loaded = [m for m in heavy if m in sys.modules];"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
