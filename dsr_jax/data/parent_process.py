"""Worker processes that do not outlive the process that started them."""

import multiprocessing
import os
import threading
from typing import Any


def end_with_parent() -> None:
    """Called in a worker process: a parent that was killed cannot tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
