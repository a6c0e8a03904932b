"""A made-up body in the layout of SMPL's files."""

import numpy as np

from dsr_jax.body import PARENTS

VERTICES = 30


def smpl_arrays(vertices=VERTICES, seed=0):
    """What an official file holds, for a mesh of a few vertices."""
    random = np.random.default_rng(seed)
    parents = np.array(PARENTS)
    regressor = random.dirichlet(np.full(vertices, 0.2), 24)
    regressor[regressor < 1e-3] = 0
    return {
        "v_template": random.normal(0, 0.5, (vertices, 3)),
        "shapedirs": random.normal(0, 0.03, (vertices, 3, 12)),
        "posedirs": random.normal(0, 0.01, (vertices, 3, 207)),
        "weights": random.dirichlet(np.full(24, 0.2), vertices),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "kintree_table": np.stack([parents, np.arange(24)]).astype(np.uint32),
        "f": random.integers(0, vertices, (50, 3)).astype(np.uint32),
    }
