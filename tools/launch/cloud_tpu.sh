#!/usr/bin/env bash
# Trains on a Cloud TPU slice: the same command on every machine of it.
#
#     TPU=my-slice ZONE=us-central2-b WORKDIR=/mnt/shared/runs/dsr \
#       tools/launch/cloud_tpu.sh --config configs/dsr.py
#
# Needs gcloud, and on the machines this repository in ~/dsr-jax with its environment in
# ~/dsr-jax/.venv, and a folder that they share: Filestore, or a bucket with
# hierarchical namespace, which gcsfuse mounts with metadata-cache ttl-secs 0
# (docs/launching.md). The processes find each other by the slice's metadata. Each goes
# on if this shell ends (nohup); its log is ~/dsr-jax/train.log. `STOP=1` in the place
# of arguments stops them all.
set -euo pipefail
: "${TPU:?name of the slice}" "${ZONE:?its zone}"

everywhere() {
  gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$1"
}

if [ -n "${STOP:-}" ]; then
  # SIGTERM: every process finishes its step and saves.
  everywhere "kill -s TERM \$(cat ~/dsr-jax/train.pid)"
  exit
fi

: "${WORKDIR:?folder of the run, shared by all machines}"
arguments=$(printf ' %q' "$@" "--workdir=$WORKDIR")
everywhere "cd ~/dsr-jax && source .venv/bin/activate &&
  { nohup tools/launch/again.sh python train.py$arguments \
      > train.log 2>&1 < /dev/null & echo \$! > train.pid; }"
echo "started; gcloud compute tpus tpu-vm ssh $TPU --zone=$ZONE --worker=0 --command='tail -f ~/dsr-jax/train.log'"
