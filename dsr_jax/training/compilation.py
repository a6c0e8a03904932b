"""What was compiled and how long it took; and that a later step compiles nothing."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

import jax
from tqdm import tqdm

# JAX's events; the first three carry the name of the function as `fun_name`.
_TRACE = "/jax/core/compile/jaxpr_trace_duration"
_LOWER = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILE = "/jax/core/compile/backend_compile_duration"
_LOAD = "/jax/compilation_cache/cache_retrieval_time_sec"
_STAGES = {_TRACE: "trace", _LOWER: "lower", _COMPILE: "backend", _LOAD: "load"}


class Compilations:
    """While active, counts programs and the time of tracing, lowering and compiling.

    A program that JAX's persistent cache holds is loaded, not compiled. Stages nest (a
    function is traced while another is): each is counted without those inside it, so
    that they add up.

    Args:
      settled_after: steps of this process after which none may compile any more.
    """

    def __init__(self, settled_after: int = 2):
        self._settled_after = settled_after
        self._steps = 0
        self._late = 0
        self._warned = False
        self._seconds = dict.fromkeys(_STAGES.values(), 0.0)
        self._compiled, self._loaded = 0, 0
        # Finished stages of a thread that a longer one may yet turn out to contain.
        self._finished: dict[int, list[tuple[float, float]]] = {}
        self._in_step: dict[int, list[str]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *exception: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._listen)

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around the call of training step `number`: a late compilation is told once.

        Only what this thread compiles inside counts: the first evaluation and the first
        picture of a run, and the input's own threads, may compile when they come.
        """
        thread = threading.get_ident()
        built = self._in_step[thread] = []
        try:
            yield
        finally:
            del self._in_step[thread]
        self._steps += 1
        if built and self._steps > self._settled_after:
            self._late += len(built)
            self._warn(number, built[0])

    def record(self) -> dict[str, float]:
        """Counts and seconds since the start of the run, for the log."""
        with self._lock:
            return {
                "compile/programs": float(self._compiled),
                "compile/loaded": float(self._loaded),
                "compile/late": float(self._late),
                **{f"compile/{k}_seconds": v for k, v in self._seconds.items()},
            }

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        stage = _STAGES.get(event)
        if stage is None:
            return
        thread = threading.get_ident()
        with self._lock:
            self._seconds[stage] += self._own_time(thread, duration_secs)
            if event == _LOAD:
                # The backend's stage, which contains it, is about to count it as built.
                self._loaded, self._compiled = self._loaded + 1, self._compiled - 1
            elif event == _COMPILE:
                self._compiled += 1
                if thread in self._in_step:
                    self._in_step[thread].append(str(kwargs.get("fun_name", "?")))

    def _own_time(self, thread: int, duration: float) -> float:
        """Seconds of a stage that ends now, without those of the stages inside it."""
        end = time.perf_counter()
        finished = self._finished.setdefault(thread, [])
        own = duration
        while finished and finished[-1][0] >= end - duration:
            own -= finished.pop()[1]
        finished.append((end - duration, duration))
        return max(own, 0.0)

    def _warn(self, number: int, name: str) -> None:
        if self._warned:
            return
        self._warned = True
        tqdm.write(
            f"warning: step {number} compiled '{name}' anew, which no step after the "
            f"first {self._settled_after} should: a shape, type or sharding of its "
            "inputs changed; jax.config.jax_explain_cache_misses tells which "
            "(said once; the log counts them as compile/late)",
            file=sys.stderr,
        )
