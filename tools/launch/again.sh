#!/usr/bin/env bash
# Runs a command, and runs it again while its exit code says that the environment is at
# fault (75), up to TRIES times. Ctrl-C and SIGTERM are passed on, and are the end.
#
#     tools/launch/again.sh python train.py --config configs/dsr.py --workdir runs/dsr
set -u
child=
stopped=
stop() {
  stopped=1
  [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null
}
trap 'stop INT' INT
trap 'stop TERM' TERM

code=75
for _ in $(seq "${TRIES:-50}"); do
  # In a session of its own, or a terminal's Ctrl-C would reach it twice.
  setsid "$@" &
  child=$!
  # A signal ends `wait` early.
  wait "$child"
  code=$?
  while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    code=$?
  done
  [ "$code" -eq 75 ] && [ -z "$stopped" ] || exit "$code"
  sleep "${PAUSE:-10}"
done
exit "$code"
