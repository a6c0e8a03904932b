"""Every config file of the repository names every key, and only known ones."""

from pathlib import Path

import pytest

from dsr_jax.fitting.settings import FitRun
from dsr_jax.training.command_line import load_config_file
from dsr_jax.training.settings import RunSettings

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs").rglob("*.py"))
TRAINING = [f for f in FILES if f.name not in ("base.py", "fit.py", "__init__.py")]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.parametrize("path", TRAINING, ids=lambda p: p.stem)
def test_a_training_can_start_from_it(path):
    config = load_config_file(str(path))
    settings = RunSettings.from_config(config)
    assert settings.training.steps > 0
    command = f"--config {path.relative_to(ROOT)}"
    assert command in path.read_text(), f"{path} does not give its own command"


def test_every_row_of_table_1_changes_what_it_names():
    def objective(name):
        path = ROOT / "configs" / "ablations" / f"table1_{name}.py"
        pipeline = RunSettings.from_config(load_config_file(str(path))).pipeline
        return pipeline.objective

    weights = {
        "c_eft": (0, 0, 0),
        "dsr_fb": (0, 0, 0.01),
        "dsr_fb_distm": (0, 0, 0.01),
        "dsr_mc_distm": (0.01, 0, 0),
        "dsr_mc_iou": (0.01, 0, 0),
        "dsr_c": (0, 0.01, 0),
        "dsr_mvp": (0.01, 0.01, 0),
        "dsr": (0.01, 0.01, 0),
    }
    for name, expected in weights.items():
        found = objective(name)
        assert (found.dsr_mc, found.dsr_c, found.dsr_fb) == expected
    assert objective("dsr_fb_distm").dsr_fb_metric == "soft_distance"
    assert objective("dsr_mc_distm").dsr_mc_metric == "soft_distance"


def test_a_fit_can_start_from_its_config():
    config = load_config_file(str(ROOT / "configs" / "fit.py"))
    assert FitRun.from_config(config).image_size == 224
