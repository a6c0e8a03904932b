#!/usr/bin/env bash
# Trains on all GPUs of one machine, by default eight.
#
#     tools/launch/eight_gpus.sh --config configs/dsr.py --workdir runs/dsr
#     PROCESS_A_GPU=1 tools/launch/eight_gpus.sh --config ... --workdir ...
#
# One process drives all GPUs. With PROCESS_A_GPU=1 each GPU has its own process, which
# reads its own examples: for a machine whose CPUs are the bottleneck of one process.
# GPUS says how many; the arguments go to train.py.
set -u
cd "$(dirname "$0")/../.."
gpus="${GPUS:-8}"

if [ -z "${PROCESS_A_GPU:-}" ]; then
  unset JAX_COORDINATOR_ADDRESS JAX_NUM_PROCESSES JAX_PROCESS_ID
  CUDA_VISIBLE_DEVICES=$(seq -s, 0 $((gpus - 1)))
  export CUDA_VISIBLE_DEVICES
  exec tools/launch/again.sh python train.py "$@"
fi

# The kernel finds a port that is free now.
port=$(python -c 'import socket; s = socket.create_server(("", 0)); print(s.getsockname()[1])')
export JAX_COORDINATOR_ADDRESS="127.0.0.1:$port" JAX_NUM_PROCESSES="$gpus"
pids=()
pass_on() { kill -s "$1" "${pids[@]}" 2>/dev/null; }
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM
for index in $(seq 0 $((gpus - 1))); do
  # In a session of its own, or Ctrl-C would reach it twice.
  JAX_PROCESS_ID=$index JAX_LOCAL_DEVICE_IDS=$index setsid python train.py "$@" &
  pids+=("$!")
done

# `wait` returns at a signal, and again with the code of the process.
code=0
for pid in "${pids[@]}"; do
  while :; do
    wait "$pid"
    ended=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  [ "$code" -ne 0 ] || code=$ended
done
exit "$code"
