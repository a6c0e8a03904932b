"""What can go wrong while train.py runs: one line, in time, nothing half written."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dsr_jax.data import write_people
from tests.training.test_training_from_records import handmade_people

pytestmark = [
    pytest.mark.slow,
    pytest.mark.jobs,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

ROOT = Path(__file__).parents[2]
# Without semantic terms: what is tested is not theirs, and they take long to compile.
CONFIG = """
from configs.base import base_config

def get_config():
    config = base_config()
    config.training.steps = 4
    config.training.batch_size = 4
    config.training.log_every = 1
    config.training.checkpoint_every = 2
    config.training.evaluate_every = 0
    config.training.pictures_every = 0
    config.training.pictures = 1
    config.data.image_size = 32
    config.data.workers = 1
    config.data.source = "folder"
    config.data.datasets = (("people", "{0}/annotations.npz", "{0}/images", "", 1.0),)
    config.synthetic.supersampling = 1
    config.body.name = "free-lite"
    config.semantics.prior = "free-lite"
    config.regressor.backbone = "resnet18"
    config.regressor.hidden = 32
    config.objective.dsr_mc = 0.0
    config.objective.dsr_c = 0.0
    config.evaluation.people = 4
    config.evaluation.batch_size = 4
    return config
"""
FOREVER = (
    *("--config.training.steps=100000", "--config.training.checkpoint_every=100000"),
    "--config.data.timeout_seconds=5",
)
# An interpreter that imports JAX, a step from the cache, and a loaded machine.
PATIENCE = 300


class Place:
    """Data, config and compiled programs that all runs of the module share."""

    def __init__(self, folder):
        self.folder = folder
        self.people = folder / "people"
        write_people(self.people, [handmade_people()])
        (folder / "config.py").write_text(CONFIG.format(self.people))

    def start(self, name, *overrides, config="config.py", before=(), job=(), **options):
        """train.py in a process of its own, on one device, or by a launcher `job`."""
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": "",
        }
        program = [
            sys.executable,
            *job,
            "train.py",
            "--config",
            str(self.folder / config),
        ]
        return subprocess.Popen(
            [*before, *program, "--workdir", str(self.folder / name), *overrides],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def copy(self, name, of):
        shutil.copytree(self.folder / of, self.folder / name)
        return self.folder / name


def finish(process):
    """Exit code and lines of standard error, without those of progress bars."""
    _, errors = process.communicate(timeout=PATIENCE)
    lines = errors.replace("\r", "\n").splitlines()
    kept = [line for line in lines if line.strip() and not re.search(r"\d%\|", line)]
    return process.returncode, kept


def until_step(process, folder, step):
    """Waits until metrics.jsonl has it."""
    file = folder / "metrics.jsonl"
    while not (file.exists() and f'"step": {step},' in file.read_text()):
        assert process.poll() is None, process.communicate()[1][-2000:]
        time.sleep(0.05)


def workers_of(process):
    """Worker processes that a training has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == process.pid and b"spawn_main" in command:
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """With a run of four steps, which has compiled what the others need."""
    place = Place(tmp_path_factory.mktemp("faults"))
    code, lines = finish(place.start("whole"))
    assert (code, lines) == (0, [])
    return place


####################################################################################
#                              A step that is not finite                             #
####################################################################################


@pytest.fixture(scope="module")
def diverged(place):
    """A run whose first step made weights of 1e30."""
    return finish(place.start("diverged", "--config.optimizer.learning_rate=1e30"))


def replayed(folder, *arguments):
    tool = [sys.executable, "tools/replay_fault.py", str(folder), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        tool, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_run_that_diverges_names_people_and_leaves_a_dump(place, diverged):
    code, lines = diverged
    folder = place.folder / "diverged" / "faults" / "step_0000002"
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith(
        "error: step 2: the network's output is not finite for people: 0000"
    )
    assert f"replay_fault.py {folder} repeats the step" in lines[0]
    notes = json.loads((folder / "fault.json").read_text())
    assert notes["rows"] == [0, 1, 2, 3] and len(notes["batch"]) == 4


def test_the_step_is_repeated_from_its_dump_alone(place, diverged, tmp_path):
    """On four devices, where the run had one, and away from its data."""
    folder = tmp_path / "run" / "faults" / "step_0000002"
    whole = place.folder / "diverged"
    shutil.copytree(whole / "faults" / "step_0000002", folder)
    shutil.copy(whole / "config.json", tmp_path / "run")
    done = replayed(folder, "--save", str(tmp_path / "people.png"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("step 2, 4 examples, on 4 device(s); 1 in the run")
    assert lines[-1] == "now: the same"
    rows = {line[:18].strip(): line[32:] for line in lines if len(line) > 32}
    assert rows["weights"] == "-" and rows["network's output"] == "all"
    assert (tmp_path / "people.png").stat().st_size > 1000

    # The same step with weights of a usual size.
    shutil.copy(_healthy_state(place, tmp_path), folder / "state.npz")
    done = replayed(folder)
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines()[-1] == "now: loss and gradient are finite"


def test_two_processes_leave_one_whole_dump(place):
    """Whoever has written its part must not end the job before the other has."""
    launcher = ("tools/launch_local.py", "--processes", "2", "--")
    rate = "--config.optimizer.learning_rate=1e30"
    code, lines = finish(place.start("two", rate, job=launcher))
    folder = place.folder / "two" / "faults" / "step_0000002"
    assert code == 2
    said = [line for line in lines if "error: step 2: the network's output" in line]
    assert said and f"{folder} holds state and batch" in said[0]
    files = {path.name for path in folder.iterdir()}
    assert files == {"fault.json", "state.npz", "batch_00000.npz", "batch_00001.npz"}
    done = replayed(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "now: the same"


def _healthy_state(place, tmp_path):
    dumped = place.folder / "diverged" / "faults" / "step_0000002" / "state.npz"
    with np.load(dumped) as arrays:
        small = {
            name: array / 1e32 if name.startswith("params") else array
            for name, array in arrays.items()
        }
    np.savez(tmp_path / "state.npz", **small)
    return tmp_path / "state.npz"


def test_a_folder_that_is_no_dump(place):
    done = replayed(place.folder / "whole" / "faults" / "step_0000009")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "fault.json: cannot read this note of a fault" in done.stderr


####################################################################################
#                                        Input                                       #
####################################################################################


def one_error(lines):
    """Python says that it has cleaned up the shared memory of a lost worker."""
    rest = [line for line in lines[1:] if "resource_tracker" not in line]
    return lines[0].startswith("error: ") and not rest


def with_workers(place, name):
    process = place.start(name, *FOREVER, "--config.data.worker_processes=1")
    until_step(process, place.folder / name, 2)
    (worker,) = workers_of(process)
    return process, worker


def test_a_halted_worker(place):
    process, worker = with_workers(place, "halted")
    os.kill(worker, signal.SIGSTOP)
    start = time.monotonic()
    code, lines = finish(process)
    assert code == 75 and one_error(lines), lines
    assert lines[0].startswith("error: data: no batch for 5 s: the disk or a worker")
    assert time.monotonic() - start < 60
    assert not Path(f"/proc/{worker}").exists()


def test_a_killed_worker(place):
    process, worker = with_workers(place, "killed")
    os.kill(worker, signal.SIGKILL)
    start = time.monotonic()
    code, lines = finish(process)
    assert code == 75 and one_error(lines), lines
    assert lines[0].startswith("error: data: a worker process has ended (exit code -9)")
    assert time.monotonic() - start < 60


def test_a_disk_that_does_not_answer(place):
    """Photos that nobody ever writes: the thread that reads one never returns."""
    stuck = place.folder / "stuck_people"
    shutil.copytree(place.people, stuck)
    for photo in sorted((stuck / "images").iterdir())[::2]:
        photo.unlink()
        os.mkfifo(photo)
    (place.folder / "stuck.py").write_text(CONFIG.format(stuck))
    process = place.start("stuck", *FOREVER, config="stuck.py")
    while not (place.folder / "stuck" / "config.json").exists():
        assert process.poll() is None
        time.sleep(0.1)
    code, lines = finish(process)
    assert (code, len(lines)) == (75, 1), lines
    assert lines[0].startswith("error: data: no batch for 5 s")


####################################################################################
#                                    Disk and folder                                 #
####################################################################################


def test_a_disk_that_is_full_of_records(place):
    """Files may have 9000 bytes: TensorBoard's, which grow faster, come there first."""
    limit = place.start(
        *("metrics", *FOREVER),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)),
    )
    code, lines = finish(limit)
    file = place.folder / "metrics" / "metrics.jsonl"
    assert (code, len(lines)) == (75, 1), lines
    events = re.escape(f"error: {file.parent}/events.out.tfevents.")
    assert re.match(events + ".*: cannot write: File too large", lines[0])
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [r["step"] for r in records] == [*range(1, len(records) + 1)]


def test_a_disk_that_is_full_of_checkpoints(place):
    """A disk of its own with 1 MB, which no other process sees."""
    folder = place.folder / "small"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=1m none {folder} && exec "$@"; exit 99'
    before = ("unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    if not shutil.which("unshare"):
        pytest.skip("no unshare here")
    code, lines = finish(place.start("small", before=before))
    if code in (1, 99) and "mount" in "".join(lines):
        pytest.skip("no disk may be mounted here")
    assert (code, len(lines)) == (75, 1), lines
    start = f"error: {folder}/checkpoints: the checkpoint of step 2 cannot be written"
    assert lines[0].startswith(start) and "free some space" in lines[0]


def test_a_folder_that_is_deleted(place):
    process = place.start("deleted", *FOREVER)
    until_step(process, place.folder / "deleted", 2)
    shutil.rmtree(place.folder / "deleted")
    code, lines = finish(process)
    assert (code, len(lines)) == (2, 1), lines
    assert "deleted/metrics.jsonl: cannot write: it was deleted or moved" in lines[0]


####################################################################################
#                               Damage before a restart                              #
####################################################################################


def damage(checkpoint):
    """Cuts the largest file of a checkpoint."""
    largest = max(checkpoint.rglob("*"), key=lambda file: file.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def test_a_damaged_checkpoint_and_damaged_metrics(place):
    """The one before it goes on, to the end."""
    folder = place.copy("damaged", of="whole")
    damage(folder / "checkpoints" / "4")
    metrics = folder / "metrics.jsonl"
    _, *rest = metrics.read_bytes().splitlines()
    metrics.write_bytes(b"\n".join([b"\xff\x00{", b"[1]", b'{"loss": 1}', *rest, b"{"]))
    code, lines = finish(place.start("damaged"))
    assert (code, len(lines)) == (0, 2), lines
    assert lines[0].startswith(f"{folder}/checkpoints/4: damaged (")
    assert lines[1] == f"{metrics}: 4 damaged line(s) dropped"
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 3, 4]


def test_nothing_but_damaged_checkpoints(place):
    folder = place.copy("lost", of="whole")
    for step in ("2", "4"):
        damage(folder / "checkpoints" / step)
    code, lines = finish(place.start("lost"))
    assert code == 2 and lines[-1].startswith(f"error: {folder}/checkpoints: ")
    assert "Traceback" not in "".join(lines)


def test_a_damaged_config(place):
    folder = place.copy("confused", of="whole")
    (folder / "config.json").write_text('{"training": ')
    code, lines = finish(place.start("confused"))
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith(f"error: {folder}/config.json: cannot be read as JSON")
