"""tools/launch: what can be checked without the machines they are for."""

import os
import re
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

    def run(script, *arguments, commands, **variables):
        for name, text in commands.items():
            file = tmp_path / name
            file.write_text(f"#!/usr/bin/env bash\n{text}\n")
            file.chmod(0o755)
        return subprocess.Popen(
            ["bash", str(LAUNCH / script), *arguments],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def test_one_gpu_starts_again_after_a_fault_of_the_environment(shell, tmp_path):
    python = f'echo "$CUDA_VISIBLE_DEVICES $*" >> {tmp_path}/runs\n'
    python += f"[ $(wc -l < {tmp_path}/runs) -ge 3 ] || exit 75"
    process = shell(
        "one_gpu.sh", "3", "--a=b c", commands={"python": python}, PAUSE="0"
    )
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "runs").read_text().splitlines() == ["3 train.py --a=b c"] * 3


@pytest.mark.parametrize("code", [1, 2, 143])
def test_one_gpu_ends_with_any_other_code(shell, code):
    process = shell("one_gpu.sh", "0", commands={"python": f"exit {code}"})
    process.communicate(timeout=30)
    assert process.returncode == code


def test_a_process_a_gpu(shell, tmp_path):
    python = f"""
if [ "$1" = -c ]; then echo 1234; exit; fi
echo "$JAX_COORDINATOR_ADDRESS $JAX_NUM_PROCESSES $JAX_PROCESS_ID" \
  "$JAX_LOCAL_DEVICE_IDS $*"
trap 'echo told; exit 143' TERM
touch {tmp_path}/up$JAX_PROCESS_ID
while :; do sleep 0.1; done"""
    process = shell(
        "eight_gpus.sh",
        "--x",
        commands={"python": python},
        PROCESS_A_GPU="1",
        GPUS="2",
    )
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("up*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    lines = [f"127.0.0.1:1234 2 {i} {i} train.py --x" for i in (0, 1)]
    assert sorted(output.splitlines()) == [*lines, "told", "told"]


@pytest.mark.parametrize(
    ("code", "requeued"), [(0, False), (2, False), (75, True), (137, True), (143, True)]
)
def test_slurm_requeues_what_may_go_on(shell, tmp_path, code, requeued):
    commands = {
        "srun": f'echo "srun $*"; exit {code}',
        "scontrol": 'echo "scontrol $*"',
    }
    process = shell(
        "slurm.sbatch",
        "--workdir=a b",
        commands=commands,
        SLURM_JOB_ID="7",
        SLURM_SUBMIT_DIR=str(tmp_path),
    )
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert "python train.py --workdir=a b" in output
    assert ("scontrol requeue 7" in output) == requeued


def test_the_head_of_the_slurm_script():
    """SLURM reads its options up to the first command only."""
    text = (LAUNCH / "slurm.sbatch").read_text()
    head = re.split(r"^[^#\n]", text, maxsplit=1, flags=re.MULTILINE)[0]
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", head, re.MULTILINE))
    assert text.count("#SBATCH") == len(options)
    assert options["signal"].startswith("B:TERM@") and "requeue" in options
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


def test_a_tpu_slice_gets_the_arguments_as_they_are(shell, tmp_path):
    """Machines are played by this one: `gcloud` runs what it is to run there."""
    home = tmp_path / "home"
    (home / "dsr-jax" / ".venv" / "bin").mkdir(parents=True)
    (home / "dsr-jax" / ".venv" / "bin" / "activate").write_text("")
    (home / "dsr-jax" / "tools").symlink_to(ROOT / "tools")
    process = shell(
        "cloud_tpu.sh",
        "--config=configs/dsr.py",
        '--config.note=it\'s a "b" $c',
        commands={
            "gcloud": 'for a in "$@"; do case "$a" in --command=*)'
            ' bash -c "${a#--command=}";; esac; done',
            "python": 'for a in "$@"; do echo "<$a>"; done',
        },
        TPU="slice",
        ZONE="zone",
        WORKDIR="/a b",
        HOME=str(home),
    )
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    log, deadline = home / "dsr-jax" / "train.log", time.monotonic() + 20
    while time.monotonic() < deadline and "workdir" not in log.read_text():
        time.sleep(0.05)
    assert log.read_text().splitlines() == [
        "<train.py>",
        "<--config=configs/dsr.py>",
        '<--config.note=it\'s a "b" $c>',
        "<--workdir=/a b>",
    ]
    assert (home / "dsr-jax" / "train.pid").read_text().strip().isdigit()
