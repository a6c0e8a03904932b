"""One, two and four processes measure, draw and make the same."""

import numpy as np
import pytest

from tests.processes import succeed

PROGRAM = """
import runpy
runpy.run_module("tests.training.measure_program", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.jobs
def test_hosts_without_a_common_step_agree(tmp_path):
    folders = {hosts: tmp_path / str(hosts) for hosts in (1, 2, 4)}
    for hosts, folder in folders.items():
        folder.mkdir()
        succeed(PROGRAM, hosts, folder)
    names = [
        f"people_{who}_{count}.npz" for who in ("model", "mean") for count in (7, 2)
    ]
    for hosts in (2, 4):
        for name in names:
            alone, together = (np.load(folders[n] / name) for n in (1, hosts))
            for column in alone.files:
                if alone[column].dtype.kind == "U":
                    np.testing.assert_array_equal(together[column], alone[column])
                else:
                    # The order of float32 sums depends on how many a device poses.
                    np.testing.assert_allclose(
                        together[column], alone[column], rtol=1e-6
                    )
        panels = [np.load(folders[n] / "panel.npy") for n in (1, hosts)]
        np.testing.assert_array_equal(*panels)
        for host in range(hosts):
            np.testing.assert_array_equal(
                np.load(folders[hosts] / f"betas_{host}.npy"),
                np.load(folders[1] / "betas_0.npy"),
            )
