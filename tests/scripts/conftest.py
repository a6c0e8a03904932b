"""Loads scripts in this process, one at a time: their flags may have the same names."""

import importlib.util
import sys
from pathlib import Path

import pytest
from absl import flags

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def load_script():
    """`load_script("demo.py")` gives the module; its flags end with the test module."""
    loaded = []

    def load(path):
        name = Path(path).stem
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        module = importlib.util.module_from_spec(spec)
        # absl files flags under the module whose name it finds here.
        sys.modules[name] = module
        loaded.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        for flag in list(flags.FLAGS.flags_by_module_dict().get(name, [])):
            delattr(flags.FLAGS, flag.name)
        del sys.modules[name]
