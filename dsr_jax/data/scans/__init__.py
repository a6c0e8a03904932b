"""Scans: people whose bodies are known, seen from many sides, with label maps."""

from dsr_jax.data.scans.counting import (
    CountState,
    count_scans,
    load_count_state,
    save_count_state,
    scan_counts,
)
from dsr_jax.data.scans.reading import Scan, ScanView, find_scans, read_scan
from dsr_jax.data.scans.writing import write_scan, write_synthetic_scans

__all__ = [
    "CountState",
    "Scan",
    "ScanView",
    "count_scans",
    "find_scans",
    "load_count_state",
    "read_scan",
    "save_count_state",
    "scan_counts",
    "write_scan",
    "write_synthetic_scans",
]
