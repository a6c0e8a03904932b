"""The extra `parsing` is part of `dev`; without it these tests have nothing to run."""

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
