"""tools/launch: what can be checked without the machines they are for."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "tools" / "launch"
SHELL = sorted([*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")])


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_bash_can_read_it(path):
    checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert path.suffix == ".sbatch" or os.access(path, os.X_OK)


@pytest.fixture
def shell(tmp_path):
    """Runs a launcher with commands in the place of what is not here."""
    started = tmp_path / "started"

    def run(script, *arguments, commands, **variables):
        for name, text in commands.items():
            file = tmp_path / name
            note = f"echo $$ >> {started}\n" if name in ("python", "srun") else ""
            file.write_text(f"#!/usr/bin/env bash\n{note}{text}\n")
            file.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if k not in _OF_THE_LAUNCHERS}
        # An exec resets a handler, but not SIG_IGN, which these tests may run under.
        before = {n: signal.signal(n, lambda *_: None) for n in _STOPPING}
        try:
            return subprocess.Popen(
                ["bash", str(LAUNCH / script), *arguments],
                env={**kept, "PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    yield run
    # What a launcher that failed its test has left behind.
    for pid in started.read_text().split() if started.exists() else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OF_THE_LAUNCHERS = (
    *("CUDA_VISIBLE_DEVICES", "GPUS", "PROCESS_A_GPU", "TRIES", "PAUSE", "STOP"),
    *("SLURM_CPUS_PER_TASK", "SLURM_RESTART_COUNT"),
)


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def result(process, seconds=10):
    """Exit code and output of a launcher, which must not wait for anything else."""
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, output


# Python before its own handlers: SIGTERM ends it, and SIGINT unless it is ignored.
_TRAINING = """
trap 'echo told; exit {code}' TERM
echo run >> {folder}/runs
while :; do sleep 0.05; done"""


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("code", [75, 137])
def test_one_gpu_starts_again_after_a_fault_of_the_environment(shell, tmp_path, code):
    python = f'echo "$CUDA_VISIBLE_DEVICES $*" >> {tmp_path}/runs\n'
    python += f"[ $(wc -l < {tmp_path}/runs) -ge 3 ] || exit {code}"
    process = shell(
        "one_gpu.sh", "3", "--a=b c", commands={"python": python}, PAUSE="0"
    )
    assert result(process)[0] == 0
    assert lines(tmp_path / "runs") == ["3 train.py --a=b c"] * 3


@pytest.mark.parametrize("code", [1, 2, 143])
def test_one_gpu_ends_with_any_other_code(shell, code):
    process = shell("one_gpu.sh", "0", commands={"python": f"exit {code}"})
    assert result(process)[0] == code


@pytest.mark.parametrize("number", _STOPPING, ids=lambda number: number.name)
@pytest.mark.parametrize("code", [143, 75, 137])
def test_one_gpu_passes_signals_on_and_ends(shell, tmp_path, number, code):
    python = _TRAINING.format(folder=tmp_path, code=code)
    process = shell("one_gpu.sh", "0", commands={"python": python}, PAUSE="0")
    until(lambda: lines(tmp_path / "runs"))
    process.send_signal(number)
    assert result(process) == (code, "told\n")
    assert lines(tmp_path / "runs") == ["run"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_signal_in_the_pause_is_the_end(shell, tmp_path, number, code):
    python = f"echo run >> {tmp_path}/runs; exit 75"
    sleep = f"touch {tmp_path}/pause; exec {shutil.which('sleep')} $1"
    process = shell(
        "again.sh", "python", commands={"python": python, "sleep": sleep}, PAUSE="60"
    )
    until((tmp_path / "pause").exists)
    process.send_signal(number)
    assert result(process)[0] == code
    assert lines(tmp_path / "runs") == ["run"]


def test_no_pause_after_the_last_try(shell, tmp_path):
    commands = {"python": "exit 75", "sleep": f"echo pause >> {tmp_path}/pauses"}
    process = shell("again.sh", "python", commands=commands, TRIES="3")
    assert result(process)[0] == 75
    assert lines(tmp_path / "pauses") == ["pause"] * 2


@pytest.mark.parametrize("number", _STOPPING, ids=lambda number: number.name)
def test_a_process_a_gpu(shell, tmp_path, number):
    python = f"""
if [ "$1" = -c ]; then echo 1234; exit; fi
echo "$JAX_COORDINATOR_ADDRESS $JAX_NUM_PROCESSES $JAX_PROCESS_ID" \
  "$JAX_LOCAL_DEVICE_IDS $*"
trap 'echo told; exit 143' TERM
touch {tmp_path}/up$JAX_PROCESS_ID
while :; do sleep 0.05; done"""
    process = shell(
        "eight_gpus.sh",
        "--x",
        commands={"python": python},
        PROCESS_A_GPU="1",
        GPUS="2",
    )
    until(lambda: len(list(tmp_path.glob("up*"))) == 2)
    process.send_signal(number)
    code, output = result(process)
    assert code == 143
    expected = [f"127.0.0.1:1234 2 {i} {i} train.py --x" for i in (0, 1)]
    assert sorted(output.splitlines()) == [*expected, "told", "told"]


@pytest.mark.parametrize(
    ("script", "moment"),
    [
        # Before the number of a process is known.
        ("one_gpu.sh", "child=?*"),
        ("eight_gpus.sh", "pids+=*1"),
        # Before the next one is started.
        ("eight_gpus.sh", "'[ -z '*0"),
    ],
)
def test_a_signal_while_the_processes_are_started(shell, tmp_path, script, moment):
    python = 'if [ "$1" = -c ]; then echo 1234; else exec sleep 60; fi'
    # Every bash reads it first, but only the launcher comes to such a command.
    (tmp_path / "env").write_text(f"""
at() {{
  case "$BASH_COMMAND${{index:-}}" in {moment}) trap - DEBUG; kill $$ ;; esac
}}
set -T
trap at DEBUG""")
    process = shell(
        script,
        "0",
        commands={"python": python},
        BASH_ENV=str(tmp_path / "env"),
        PROCESS_A_GPU="1",
        GPUS="3",
    )
    assert result(process)[0] == 143


@pytest.mark.parametrize("each", ["", "1"], ids=["one process", "a process a GPU"])
@pytest.mark.parametrize(
    ("given", "gpus", "used"),
    [
        ("", "", "0,1,2,3,4,5,6,7"),
        ("", "2", "0,1"),
        ("4,6,7", "", "4,6,7"),
        ("4,6,7", "2", "4,6"),
    ],
)
def test_the_gpus_that_the_caller_lists(shell, each, given, gpus, used):
    python = 'if [ "$1" = -c ]; then echo 1; else echo "$CUDA_VISIBLE_DEVICES"; fi'
    variables = {"CUDA_VISIBLE_DEVICES": given, "GPUS": gpus, "PROCESS_A_GPU": each}
    process = shell(
        "eight_gpus.sh",
        commands={"python": python},
        **{name: value for name, value in variables.items() if value},
    )
    count = used.count(",") + 1 if each else 1
    assert result(process) == (0, f"{used}\n" * count)


def sbatch(shell, srun, **variables):
    commands = {
        "srun": f'echo "srun $*"\n{srun}',
        "scancel": 'echo "scancel $*"; kill $(cat step)',
        "scontrol": 'echo "scontrol $*"',
    }
    return shell(
        "slurm.sbatch",
        "--workdir=a b",
        commands=commands,
        SLURM_JOB_ID="7",
        **variables,
    )


@pytest.mark.parametrize(
    ("code", "requeued"),
    # Without a signal to the script, 143 is the end that a user has asked the step for.
    [(0, False), (1, False), (2, False), (75, True), (137, True), (143, False)],
)
def test_slurm_requeues_what_may_go_on(shell, tmp_path, code, requeued):
    process = sbatch(shell, f"exit {code}", SLURM_SUBMIT_DIR=str(tmp_path))
    ended, output = result(process)
    assert ended == code
    assert "python train.py --workdir=a b" in output
    assert ("scontrol requeue 7" in output) == requeued


@pytest.mark.parametrize("cpus", ["64", ""])
def test_slurm_gives_its_cores_to_the_step(shell, tmp_path, cpus):
    given = {"SLURM_CPUS_PER_TASK": cpus} if cpus else {}
    process = sbatch(shell, "exit 0", SLURM_SUBMIT_DIR=str(tmp_path), **given)
    options = result(process)[1].partition(" python ")[0].split()[1:]
    cores = [option for option in options if option.startswith("--cpus")]
    assert cores == ([f"--cpus-per-task={cpus}"] if cpus else [])


_STEP = "trap 'exit {code}' TERM; echo $$ > step; while :; do sleep 0.05; done"


def test_slurm_saves_and_requeues_before_the_time_limit(shell, tmp_path):
    srun = _STEP.format(code=143)
    process = sbatch(shell, srun, SLURM_SUBMIT_DIR=str(tmp_path))
    until(lambda: lines(tmp_path / "step"))
    process.send_signal(signal.SIGUSR1)
    code, output = result(process)
    assert code == 143
    assert "scancel --signal=TERM 7.0\n" in output and "scontrol requeue 7" in output


@pytest.mark.parametrize("code", [0, 2])
def test_slurm_requeues_nothing_that_is_over_at_the_time_limit(shell, tmp_path, code):
    srun = _STEP.format(code=code)
    process = sbatch(shell, srun, SLURM_SUBMIT_DIR=str(tmp_path))
    until(lambda: lines(tmp_path / "step"))
    process.send_signal(signal.SIGUSR1)
    ended, output = result(process)
    assert ended == code and "scancel" in output and "requeue" not in output


@pytest.mark.parametrize("code", [143, 75, 137])
def test_slurm_does_not_requeue_what_was_cancelled(shell, tmp_path, code):
    """SLURM tells the step itself; a second SIGTERM would end it unsaved."""
    srun = _STEP.format(code=code)
    process = sbatch(shell, srun, SLURM_SUBMIT_DIR=str(tmp_path))
    until(lambda: lines(tmp_path / "step"))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    os.kill(int(lines(tmp_path / "step")[0]), signal.SIGTERM)
    ended, output = result(process)
    assert ended == code
    assert "scancel" not in output and "requeue" not in output


def test_the_head_of_the_slurm_script():
    """SLURM reads its options up to the first command only."""
    text = (LAUNCH / "slurm.sbatch").read_text()
    head = re.split(r"^[^#\n]", text, maxsplit=1, flags=re.MULTILINE)[0]
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", head, re.MULTILINE))
    assert text.count("#SBATCH") == len(options)
    # SIGTERM is scancel's own.
    assert options["signal"].startswith("B:USR1@") and "requeue" in options
    assert options["ntasks-per-node"] == "1"


def test_the_machines_of_the_tpu_job_fit_together():
    yaml = pytest.importorskip("yaml")
    text = (LAUNCH / "gke_tpu.yaml").read_text()
    volume, service, job = yaml.safe_load_all(text)
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"]
    pod = spec["template"]["spec"]
    # Pods find each other by the names of the headless service.
    assert service["spec"]["clusterIP"] == "None"
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"]["job-name"] == job["metadata"]["name"]
    chips = int(pod["containers"][0]["resources"]["limits"]["google.com/tpu"])
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    rows, columns = map(int, topology.split("x"))
    assert rows * columns == chips * spec["parallelism"]
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60
    # All machines write the same runs, on a file system that renames folders.
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]
    (runs,) = pod["volumes"]
    assert runs["persistentVolumeClaim"]["claimName"] == volume["metadata"]["name"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount["name"] == runs["name"]
    workdir = f"--workdir={mount['mountPath']}/"
    assert any(a.startswith(workdir) for a in pod["containers"][0]["args"])
    assert "gcsfuse" not in repr(job)


@pytest.fixture
def slice_of_one(shell, tmp_path):
    """A slice whose machine is played by this one, where `gcloud` runs its command."""
    home = tmp_path / "home"
    (home / "dsr-jax" / ".venv" / "bin").mkdir(parents=True)
    (home / "dsr-jax" / ".venv" / "bin" / "activate").write_text("")
    (home / "dsr-jax" / "tools").symlink_to(ROOT / "tools")
    gcloud = """
for a in "$@"; do case "$a" in --command=*) bash -c "${a#--command=}";; esac; done"""

    def run(*arguments, python, **variables):
        process = shell(
            "cloud_tpu.sh",
            *arguments,
            commands={"gcloud": gcloud, "python": python},
            TPU="slice",
            ZONE="zone",
            HOME=str(home),
            **variables,
        )
        code, output = result(process)
        assert code == 0, output
        return home / "dsr-jax" / "train.log", home / "dsr-jax" / "train.pid"

    return run


def test_a_tpu_slice_gets_the_arguments_as_they_are(slice_of_one):
    log, _ = slice_of_one(
        "--config=configs/dsr.py",
        '--config.note=it\'s a "b" $c',
        python='for a in "$@"; do echo "<$a>"; done',
        WORKDIR="/a b",
    )
    until(lambda: "workdir" in log.read_text())
    assert log.read_text().splitlines() == [
        "<train.py>",
        "<--config=configs/dsr.py>",
        '<--config.note=it\'s a "b" $c>',
        "<--workdir=/a b>",
    ]


@pytest.mark.parametrize("state", ["training", "pause"])
def test_a_tpu_slice_outlives_its_shell_and_is_stopped(slice_of_one, tmp_path, state):
    python = _TRAINING.format(folder=tmp_path, code=143)
    if state == "pause":
        python = f"echo run >> {tmp_path}/runs; exit 75"
    log, pid = slice_of_one(python=python, WORKDIR="/a", PAUSE="60")
    launcher = pid.read_text().strip()

    def ended():
        stat = Path(f"/proc/{launcher}/stat")
        return not stat.exists() or stat.read_text().split()[2] == "Z"

    until(lambda: lines(tmp_path / "runs"))
    # ssh's end; the launcher has a trap for it, which nohup must keep from working.
    os.kill(int(launcher), signal.SIGHUP)
    time.sleep(0.3)
    assert not ended()
    slice_of_one(python=python, STOP="1")
    until(ended, seconds=5)
    assert log.read_text().splitlines() == (["told"] if state == "training" else [])
    assert lines(tmp_path / "runs") == ["run"]
