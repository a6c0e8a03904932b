#!/usr/bin/env bash
# Trains on one GPU, and starts again while the fault is the environment's.
#
#     tools/launch/one_gpu.sh 0 --config configs/dsr.py --workdir runs/dsr
#
# The first argument is the GPU's number, the rest goes to train.py.
set -u
cd "$(dirname "$0")/../.." || exit
export CUDA_VISIBLE_DEVICES="${1:?the number of the GPU}"
shift
# One process, whatever the shell's environment says.
unset JAX_COORDINATOR_ADDRESS JAX_NUM_PROCESSES JAX_PROCESS_ID
exec tools/launch/again.sh python train.py "$@"
