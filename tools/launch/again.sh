#!/usr/bin/env bash
# Runs a command, and runs it again while its exit code says that the environment is at
# fault (75) or that it was killed (137), up to TRIES times with PAUSE seconds between.
#
#     tools/launch/again.sh python train.py --config configs/dsr.py --workdir runs/dsr
#
# Ctrl-C, SIGTERM and SIGHUP (a dropped ssh) are the end: the command gets SIGTERM, and
# its exit code is this one's; in a pause it is 130 for Ctrl-C, else 143. Under nohup
# SIGHUP does nothing: bash cannot trap what was ignored before it started.
set -u
child=
stopped=

# Ctrl-C, too, is passed on as SIGTERM: bash starts what is in the background with
# SIGINT ignored, and Python then hears none until its imports are done. To give it back
# takes `env --default-signal`, which only newer coreutils have, or `set -m`, which lets
# `wait` end when the command is halted.
stop() {
  stopped=$1
  [ -z "$child" ] || kill "$child" 2>/dev/null
}
trap 'stop 130' INT
trap 'stop 143' TERM HUP

# Leaves the exit code in `code`. In the background: bash handles signals only between
# its commands, and in `wait`.
run() {
  "$@" &
  child=$!
  # What came before `child` was known, the command has not heard.
  [ -z "$stopped" ] || kill "$child" 2>/dev/null
  # A signal ends `wait` early, which then gives the signal's code.
  wait "$child"
  while kill -0 "$child" 2>/dev/null; do wait "$child"; done
  # bash remembers the code of what has ended.
  wait "$child"
  code=$?
  child=
}

tries="${TRIES:-50}"
while :; do
  # In a session of its own, or a terminal's Ctrl-C would reach it twice.
  run setsid "$@"
  tries=$((tries - 1))
  case "$code" in
    75 | 137) [ -z "$stopped" ] && [ "$tries" -gt 0 ] || exit "$code" ;;
    *) exit "$code" ;;
  esac
  run sleep "${PAUSE:-10}"
  [ -z "$stopped" ] || exit "$stopped"
done
