"""The loop: exact ends, records, interruptions and losses that are no number."""

import dataclasses
import itertools
import math
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dsr_jax.body import load_body
from dsr_jax.data import Batch
from dsr_jax.errors import Interrupted, UserError
from dsr_jax.pipeline import Scene
from dsr_jax.semantics import SemanticPrior
from dsr_jax.training.checkpoint import Checkpoints
from dsr_jax.training.compilation import Compilations
from dsr_jax.training.interruption import StopRequest
from dsr_jax.training.loop import Hooks, Loop
from dsr_jax.training.metrics import MetricWriter, read_metrics
from dsr_jax.training.settings import TrainingSettings
from dsr_jax.training.state import TrainState
from dsr_jax.training.summary import loss_table, term_progress

SETTINGS = TrainingSettings(
    seed=0,
    steps=12,
    batch_size=4,
    accumulate=1,
    parameters="replicated",
    start_from="",
    log_every=2,
    checkpoint_every=5,
    keep_latest=2,
    keep_best=1,
    keep_every=0,
    evaluate_every=6,
    pictures_every=4,
    pictures=1,
)


BODY = load_body("free-lite")
SCENE = Scene(
    BODY, SemanticPrior(jnp.ones((1700, 20)), jnp.ones(1700), "test", "vertex")
)


def new_state():
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params={"weight": jnp.zeros(2)},
        statistics={"mean": jnp.zeros(1)},
        rng={"key": jax.random.key(0)},
        optimizer={"moment": jnp.zeros(2)},
    )


def numbered(number):
    """A batch that says which it is."""
    return Batch(*[jnp.full(2, float(number))] * 9)


def fake_step(state, scene, batch, stop):
    """Adds the batch to the weight: the stream shows in the state."""
    number = float(state.step)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        params={"weight": state.params["weight"] + batch.has_body},
    )
    active = float(number >= 6)
    return state, {
        "loss": jnp.asarray(10.0 - number),
        "gradient_norm": jnp.asarray(1.0),
        "term/dsr_c": jnp.asarray(active * (20.0 - number)),
        "valid/dsr_c": jnp.asarray(active),
        "fault": state.fault,
        "stop": jnp.asarray(float(stop)),
    }


class Run:
    """One run in a folder; `again` continues it as train.py would."""

    def __init__(self, folder):
        self.folder = folder
        self.evaluated, self.pictures = [], []

    def again(self, step=fake_step, settings=SETTINGS):
        checkpoints = Checkpoints(self.folder)
        state = new_state()
        if checkpoints.latest_step is not None:
            state = checkpoints.restore_latest(state).state
        first = int(state.step)
        writer = MetricWriter(self.folder, first)
        batches = map(numbered, itertools.count(first))
        hooks = Hooks(
            evaluate=self.evaluate,
            draw=lambda state: np.full((8, 8, 3), int(state.step), np.uint8),
            save_picture=lambda step, picture: self.pictures.append(
                (step, int(picture[0, 0, 0]))
            ),
            stream_state=lambda step: {"position": 4 * step},
            report_fault=self.report,
            count=lambda: {"data/broken_label_maps": 3.0},
            learning_rate=lambda step: 0.5**step,
        )
        with StopRequest() as stop, Compilations() as compilations:
            loop = Loop(settings, hooks, writer, checkpoints, stop, compilations)
            try:
                return loop.train(state, step, SCENE, batches)
            finally:
                writer.close()
                checkpoints.close()

    def report(self, state, bad):
        self.reported = int(state.step), bad
        return f"step {bad.step}: bad"

    def evaluate(self, state):
        step = int(state.step)
        self.evaluated.append(step)
        return {"mpjpe": 50.0, "score": abs(step - 6.0)}

    def records(self):
        return read_metrics(self.folder / "metrics.jsonl")


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def steps_of(records):
    return [record["step"] for record in records]


def test_it_ends_at_the_exact_step(run):
    state = run.again()
    assert int(state.step) == 12
    np.testing.assert_allclose(state.params["weight"], sum(range(12)))
    assert run.evaluated == [6, 12]
    assert run.pictures == [(4, 4), (8, 8), (12, 12)]
    assert steps_of(run.records()) == [2, 4, 5, 6, 8, 10, 12]
    checkpoints = Checkpoints(run.folder)
    assert (checkpoints.best_step, checkpoints.latest_step) == (6, 12)


def test_records_are_means_since_the_last_one(run):
    run.again()
    records = {record["step"]: record for record in run.records()}
    assert records[2]["loss"] == 9.5
    assert records[5]["loss"] == 6.0
    # Step 7 is the first with the term: a mean over its active steps only.
    assert "term/dsr_c" not in records[6]
    assert records[8]["term/dsr_c"] == 13.5
    assert records[6]["validation/mpjpe"] == 50.0
    assert records[2]["images_per_second"] > 0
    assert records[2]["data/broken_label_maps"] == 3


def test_a_finished_run_does_nothing_more(run):
    run.again()
    assert int(run.again().step) == 12
    assert run.evaluated == [6, 12]
    longer = run.again(settings=dataclasses.replace(SETTINGS, steps=14))
    np.testing.assert_allclose(longer.params["weight"], sum(range(14)))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_finishes_the_step_and_saves(run, number, code):
    def step(state, scene, batch, stop):
        if int(state.step) == 6:
            signal.raise_signal(number)
        return fake_step(state, scene, batch, stop)

    with pytest.raises(Interrupted) as stopped:
        run.again(step)
    assert stopped.value.exit_code == code
    assert Checkpoints(run.folder, read_only=True).latest_step == 7
    state = run.again()
    np.testing.assert_allclose(state.params["weight"], sum(range(12)))
    assert steps_of(run.records()) == [2, 4, 5, 6, 7, 8, 10, 12]


def test_a_killed_run_goes_back_to_its_checkpoint(run):
    def step(state, scene, batch, stop):
        if int(state.step) == 8:
            raise KeyError("as good as SIGKILL: nothing is saved")
        return fake_step(state, scene, batch, stop)

    with pytest.raises(KeyError):
        run.again(step)
    assert steps_of(run.records()) == [2, 4, 5, 6, 8]
    state = run.again()
    np.testing.assert_allclose(state.params["weight"], sum(range(12)))
    assert steps_of(run.records()) == [2, 4, 5, 6, 8, 10, 12]


def test_the_second_signal_acts_at_once():
    # A process started in the background may ignore Ctrl-C: that is what comes back.
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        with pytest.raises(Interrupted, match="SIGINT"):
            stop.check()
        with pytest.raises(Interrupted, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("when", [3, 7, 12])
def test_a_step_that_is_not_finite_ends_the_run(run, when):
    """Found two steps later, or earlier where a record is due; nothing is saved."""

    def step(state, scene, batch, stop):
        new, metrics = fake_step(state, scene, batch, stop)
        # As the real one: the state stays, with the number of the bad step.
        if state.fault == 0 and int(state.step) + 1 < when:
            return new, metrics
        fault = jnp.where(state.fault == 0, when, state.fault)
        return dataclasses.replace(state, fault=fault), metrics | {
            "fault": fault,
            "loss": jnp.asarray(math.nan),
        }

    with pytest.raises(UserError, match=f"step {when}: bad"):
        run.again(step)
    kept_step, bad = run.reported
    assert (kept_step, bad.step) == (when - 1, when)
    np.testing.assert_array_equal(bad.batch.has_body, jnp.full(2, when - 1.0))
    assert math.isnan(bad.metrics["loss"])
    latest = Checkpoints(run.folder, read_only=True).latest_step
    assert latest == {3: None, 7: 6, 12: 10}[when]
    assert max(steps_of(run.records())) < when


def test_a_signal_to_another_host_ends_this_one_too(run, monkeypatch):
    monkeypatch.setattr("dsr_jax.training.loop._is_alone", lambda: False)

    def step(state, scene, batch, stop):
        assert not stop
        return fake_step(state, scene, batch, stop=int(state.step) == 6)

    with pytest.raises(Interrupted) as stopped:
        run.again(step)
    assert stopped.value.exit_code == 143
    # Step 7 said so; its signals were read after step 8, where a record was due.
    assert Checkpoints(run.folder, read_only=True).latest_step == 8


def test_a_save_that_fails_ends_the_run_at_the_next_step(run, monkeypatch):
    def fail(self, draft):
        raise UserError("no space")

    monkeypatch.setattr(Checkpoints, "_write", fail)
    with pytest.raises(UserError, match="no space"):
        run.again()
    assert max(steps_of(run.records())) <= 6


def test_where_the_time_went_is_in_the_records(run):
    run.again()
    records = {record["step"]: record for record in run.records()}
    assert records[2]["learning_rate"] == 0.5
    assert records[12]["compile/late"] == 0
    assert records[6]["seconds/evaluation"] > 0
    split = [v for k, v in records[6].items() if k.startswith("seconds/")]
    overall = records[6]["images_per_second_overall"]
    np.testing.assert_allclose(sum(split), 4 / overall, rtol=1e-6)


def test_progress_of_the_terms():
    records = [{"step": k, "term/pose": 10.0 - k, "loss": 1.0} for k in range(10)]
    records[9]["term/dsr_c"] = 3.0
    assert term_progress(records) == {"pose": (10.0, 1.0), "dsr_c": (3.0, 3.0)}
    table = loss_table(records).splitlines()
    assert table[1].split() == ["pose", "10", "1", "0.10"]
