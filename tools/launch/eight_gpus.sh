#!/usr/bin/env bash
# Trains on all GPUs of one machine, by default eight.
#
#     tools/launch/eight_gpus.sh --config configs/dsr.py --workdir runs/dsr
#     PROCESS_A_GPU=1 tools/launch/eight_gpus.sh --config ... --workdir ...
#
# One process drives all GPUs. With PROCESS_A_GPU=1 each GPU has its own process, which
# reads its own examples: for a machine whose CPUs are the bottleneck of one process.
# GPUS says how many, of those in CUDA_VISIBLE_DEVICES if that is set; the arguments go
# to train.py.
set -u
cd "$(dirname "$0")/../.." || exit

if [ -z "${CUDA_VISIBLE_DEVICES:-}" ]; then
  CUDA_VISIBLE_DEVICES=$(seq -s, 0 $((${GPUS:-8} - 1)))
fi
commas="${CUDA_VISIBLE_DEVICES//[^,]/}"
gpus="${GPUS:-$((${#commas} + 1))}"
CUDA_VISIBLE_DEVICES=$(cut -d, -f "-$gpus" <<< "$CUDA_VISIBLE_DEVICES")
export CUDA_VISIBLE_DEVICES

if [ -z "${PROCESS_A_GPU:-}" ]; then
  unset JAX_COORDINATOR_ADDRESS JAX_NUM_PROCESSES JAX_PROCESS_ID
  exec tools/launch/again.sh python train.py "$@"
fi

# The kernel finds a port that is free now.
port=$(python -c 'import socket; s = socket.create_server(("", 0)); print(s.getsockname()[1])')
export JAX_COORDINATOR_ADDRESS="127.0.0.1:$port" JAX_NUM_PROCESSES="$gpus"
pids=()
stopped=
# Ctrl-C, too, becomes SIGTERM: again.sh says why.
trap 'stopped=1; [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null' INT TERM HUP
for index in $(seq 0 $((gpus - 1))); do
  # In a session of its own, or Ctrl-C would reach it twice.
  JAX_PROCESS_ID=$index JAX_LOCAL_DEVICE_IDS=$index setsid python train.py "$@" &
  pids+=("$!")
  # What came before its number was known, it has not heard.
  [ -z "$stopped" ] || kill "$!" 2>/dev/null
done

code=0
for pid in "${pids[@]}"; do
  # A signal ends `wait` early; bash remembers the code of what has ended.
  wait "$pid"
  while kill -0 "$pid" 2>/dev/null; do wait "$pid"; done
  wait "$pid"
  ended=$?
  [ "$code" -ne 0 ] || code=$ended
done
exit "$code"
