"""Strict mode for every test: shapes are checked, silent broadcasting is an error."""

import atexit
import os
import shutil
import tempfile

# Before jax is imported: four CPU devices, so that sharded code is really sharded.
_FLAG = "--xla_force_host_platform_device_count=4"
if _FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()

# What one test or program compiled, the next one and those in other processes need not.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="dsr_jax_tests_")
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

from jaxtyping import install_import_hook  # noqa: E402

import tests.strict  # noqa: E402, F401  (the hook finds it by name)

# Checks every jaxtyping annotation of the package at run time.
install_import_hook("dsr_jax", "tests.strict.typechecked")

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_addoption(parser):
    parser.addoption(
        "--float64", action="store_true", help="run every test with 64-bit arrays on"
    )


def pytest_configure(config):
    if config.getoption("--float64"):
        jax.config.update("jax_enable_x64", True)


@pytest.fixture
def float64():
    """Turns 64-bit arrays on for one test, as derivative checks need."""
    with jax.enable_x64(True):
        yield
