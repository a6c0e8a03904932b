"""Steps that are not finite: what is named, and for whom, on any number of devices."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax import pipeline
from dsr_jax.losses import ObjectiveSettings
from dsr_jax.pipeline import PipelineSettings
from dsr_jax.rasterizer import RasterSettings
from dsr_jax.training import examination, gradient
from dsr_jax.training.devices import device_mesh, put_batch, put_everywhere
from dsr_jax.training.examination import Examination, Finding
from dsr_jax.training.fault import BadStep, Blame, fault_reporter, find_blame
from dsr_jax.training.optimizer import build_optimizer
from dsr_jax.training.state import create_state
from dsr_jax.training.step import StepSettings, build_train_step
from tests.training.test_step import OPTIMIZER
from tests.training.tiny import SIZE, TinyRegressor, make_batch, make_scene

NAMES = [f"person {row}" for row in range(4)]
# Without semantic terms: a raster takes long to compile.
SETTINGS = PipelineSettings(
    objective=ObjectiveSettings(dsr_start_step=0, dsr_mc=0.0, dsr_c=0.0),
    raster=RasterSettings(image_size=(SIZE, SIZE), sigma=1e-4),
    visible_only=False,
)


class Run:
    """A step and its examination, each compiled once for all tests of the module."""

    def __init__(self, devices=4, how=StepSettings()):  # noqa: B008
        self.mesh = device_mesh(jax.devices()[:devices])
        self.scene = put_everywhere(make_scene(), self.mesh)
        optimizer = build_optimizer(OPTIMIZER, steps=10)
        build = functools.partial(
            create_state, TinyRegressor, optimizer, jax.random.key(0), self.mesh
        )
        self.network, _ = build(how.parameters)
        self.state = lambda: build(how.parameters)[1]
        step = build_train_step(self.network, optimizer, SETTINGS, self.mesh, how)
        self.step = step
        self.examine = Examination(self.network, SETTINGS, self.mesh, how.accumulate)

    def fault(self, batch, state=None):
        """The step with this batch is refused; what is to blame for it."""
        state, metrics = self.taken(batch, state)
        assert metrics["fault"] == 1
        return find_blame(self.examine(state, self.scene, self.put(batch)), metrics)

    def taken(self, batch, state=None):
        state = self.state() if state is None else state
        state, metrics = self.step(state, self.scene, self.put(batch))
        return state, {name: float(value) for name, value in metrics.items()}

    def put(self, batch):
        return put_batch(batch, self.mesh)


@pytest.fixture(scope="module")
def run():
    return Run()


def changed(name, place, value):
    """The tiny batch with one annotation replaced."""
    batch = make_batch()
    array = np.array(getattr(batch, name))
    array[place] = value
    return dataclasses.replace(batch, **{name: array})


ANNOTATIONS = [
    ("joints", (2, 5, 0), np.inf, "joints_3d"),
    ("keypoints_ndc", (1, 30, 1), np.nan, "keypoints_2d"),
    ("pose", (3, 4, 1, 1), -np.inf, "pose"),
    ("betas", (0, 7), np.nan, "betas"),
]


@pytest.mark.parametrize(("field", "place", "value", "term"), ANNOTATIONS)
def test_an_annotation_that_is_no_number(run, field, place, value, term):
    blame = run.fault(changed(field, place, value))
    assert blame == Blame(f"the loss term '{term}' is", (place[0],))


def test_two_examples_and_two_terms(run):
    """The term that is computed first is named, for all its examples."""
    batch = changed("joints", ([0, 3], 5, 0), np.inf)
    pose = np.array(batch.pose)
    pose[2] = np.nan
    blame = run.fault(dataclasses.replace(batch, pose=pose))
    assert blame == Blame("the loss term 'joints_3d' is", (0, 3))


# Of what is not annotated nobody has to write numbers: people 1 and 3 of the tiny
# batch have no body and no labels; here a joint and a keypoint are without confidence.
@pytest.mark.parametrize(
    ("field", "place", "value"),
    [
        ("pose", 1, np.nan),
        ("betas", 1, np.inf),
        ("joints", (2, 5), (np.nan, np.nan, np.nan, 0)),
        ("joints", (2, 3), (np.nan, np.nan, np.nan, 0)),  # A hip: none of its joints.
        ("keypoints_ndc", (1, 30), (np.inf, np.nan, 0)),
        ("camera", 0, np.nan),
    ],
)
def test_what_is_not_annotated_stops_nothing(run, field, place, value):
    _, metrics = run.taken(changed(field, place, value))
    assert metrics["fault"] == 0
    _, clean = run.taken(changed(field, place, np.zeros(np.shape(value))))
    assert metrics == clean


def test_weights_that_are_blown_up(run):
    """Finite weights of 1e30, as a learning rate of 1e30 makes them."""
    state = run.state()
    huge = jax.tree.map(lambda leaf: leaf * 1e30, state.params)
    blame = run.fault(make_batch(), dataclasses.replace(state, params=huge))
    assert blame == Blame("the network's output is", (0, 1, 2, 3))


def test_weights_that_are_no_numbers(run):
    state = run.state()
    bias = state.params["linear"]["bias"]
    bias[...] = bias[...].at[3].set(jnp.nan)
    blame = run.fault(make_batch(), state)
    assert blame == Blame("the weights that the step before made are", ())


@pytest.mark.slow
def test_a_term_whose_mean_is_too_large_for_its_weight(run):
    """Errors of 4.5e36, which every example can have alone."""
    blame = run.fault(changed("joints", (slice(None), 5, 0), 1.8e19))
    assert blame == Blame("the loss term 'joints_3d', weighted, is", ())


def test_findings_in_the_order_of_the_computation():
    good = {"loss": 1.0, "term/pose": 2.0}
    findings = [
        Finding("weights", "", ()),
        Finding("output", "", ()),
        Finding("derivative", "pose", (1,)),
        Finding("value", "betas", (2,)),
    ]
    blame = find_blame(findings, good)
    assert blame == Blame("the derivative of the loss term 'pose' is", (1,))
    assert find_blame([Finding("output", "", (0, 1))], good) == Blame(
        "the network's output is", (0, 1)
    )
    mean = find_blame(findings[:2], good | {"term/pose": np.inf, "loss": np.inf})
    assert mean.what == "the mean of the loss term 'pose' is"
    weighted = find_blame(findings[:2], good | {"weighted/pose": np.inf})
    assert weighted.what == "the loss term 'pose', weighted, is"
    whole = find_blame(findings[:2], good | {"loss": np.inf})
    assert whole.what == "the weighted sum of the loss terms is"
    rest = find_blame(findings[:2], good)
    assert rest == Blame("the gradient of the network's weights is", ())


def test_the_line_and_the_dump(run, tmp_path):
    batch = changed("joints", (2, 5, 0), np.inf)
    state, metrics = run.taken(batch)
    report = fault_reporter(tmp_path, run.examine, run.scene, lambda step: NAMES)
    line = report(state, BadStep(1, run.put(batch), metrics))
    folder = tmp_path / "faults" / "step_0000001"
    assert line.startswith(
        "step 1: the loss term 'joints_3d' is not finite for person 2; the step was "
        f"not taken. {folder} holds"
    )
    notes = json.loads((folder / "fault.json").read_text())
    assert notes["rows"] == [2] and notes["examples"] == ["person 2"]
    assert notes["batch"] == NAMES and notes["metrics"]["loss"] in ("inf", "nan")


def test_a_dump_that_cannot_be_written_hides_nothing(run, tmp_path):
    (tmp_path / "faults").write_text("")
    batch = changed("joints", ([0, 1, 2, 3], 5, 0), np.inf)
    state, metrics = run.taken(batch)
    report = fault_reporter(tmp_path, run.examine, run.scene, lambda step: NAMES)
    line = report(state, BadStep(1, run.put(batch), metrics))
    assert "not finite for person 0, person 1, person 2 and 1 more;" in line
    assert f"no dump of it ({tmp_path}/faults" in line and "\n" not in line


def test_without_memory_for_an_examination(run, tmp_path, monkeypatch):
    """The step is dumped, and the metrics say what they know."""

    def fail(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(Examination, "__call__", fail)
    batch = changed("joints", (2, 5, 0), np.inf)
    state, metrics = run.taken(batch)
    report = fault_reporter(tmp_path, run.examine, run.scene, lambda step: NAMES)
    line = report(state, BadStep(1, run.put(batch), metrics))
    assert line.startswith("step 1: the mean of the loss term 'joints_3d' is not")
    assert list(tmp_path.glob("faults/step_0000001/state.npz"))


####################################################################################


@jax.custom_vjp
def poison(x, rows):
    """x, with a derivative that is no number in the rows that are marked."""
    return x


poison.defvjp(
    lambda x, rows: (x, rows),
    lambda rows, g: (jnp.where(rows, jnp.nan, 1) * g, jnp.zeros_like(rows)),
)


def poisoned(term, where):
    """`objective_terms`, its `term` with a bad derivative `where(batch)`."""

    def objective_terms(scene, prediction, batch, use_dsr, settings):
        terms = pipeline.objective_terms(scene, prediction, batch, use_dsr, settings)
        rows = where(batch).astype(jnp.float32)
        values = poison(terms[term].values, rows)
        return terms | {term: terms[term]._replace(values=values)}

    return objective_terms


def patch(monkeypatch, *how):
    for module in (examination, gradient):
        monkeypatch.setattr(module, "objective_terms", poisoned(*how))


@pytest.mark.slow
def test_a_derivative_alone(monkeypatch):
    """Its term is named, none that shares numbers with it, and its example."""
    third = make_batch().betas[2, 0]
    patch(monkeypatch, "pose", lambda batch: jnp.asarray(batch.betas)[:, 0] == third)
    blame = Run().fault(make_batch())
    assert blame == Blame("the derivative of the loss term 'pose' is", (2,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "how"),
    [
        (1, StepSettings()),
        (1, StepSettings(accumulate=2)),
        (2, StepSettings(accumulate=2, parameters="sharded", ema_decay=0.9)),
        (4, StepSettings(parameters="sharded")),
    ],
)
def test_the_same_example_however_a_step_is_computed(monkeypatch, devices, how):
    monkeypatch.setattr("dsr_jax.training.state._SMALLEST_SPLIT", 8)
    run = Run(devices, how)
    for row in range(4):
        blame = run.fault(changed("joints", (row, 5, 0), np.inf))
        assert blame == Blame("the loss term 'joints_3d' is", (row,))


@pytest.mark.slow
@pytest.mark.parametrize(("accumulate", "rows"), [(1, (0, 1, 2, 3)), (2, (0, 1))])
def test_batch_norm_spreads_one_photo_over_its_part(monkeypatch, accumulate, rows):
    """A white photo becomes no number where photos are normalised."""
    normalize = pipeline.normalize_image

    def spoiled(image):
        white = jnp.all(image == 255, axis=(1, 2, 3), keepdims=True)
        return jnp.where(white, jnp.nan, normalize(image))

    monkeypatch.setattr(pipeline, "normalize_image", spoiled)
    blame = Run(1, StepSettings(accumulate=accumulate)).fault(changed("image", 1, 255))
    assert blame == Blame("the network's output is", rows)


@pytest.mark.slow
def test_a_semantic_term_alone(monkeypatch):
    monkeypatch.setitem(globals(), "SETTINGS", _with_semantics())
    patch(monkeypatch, "dsr_c", lambda batch: jnp.arange(len(batch.betas)) == 1)
    blame = Run(devices=1).fault(make_batch())
    assert blame == Blame("the derivative of the loss term 'dsr_c' is", (1,))


def _with_semantics():
    objective = ObjectiveSettings(dsr_start_step=0)
    return dataclasses.replace(SETTINGS, objective=objective)
