"""Scans: people whose bodies are known, seen from many sides, with label maps."""

from dsr_jax.data.scans.counting import count_scans, scan_counts
from dsr_jax.data.scans.reading import Scan, ScanView, find_scans, read_scan
from dsr_jax.data.scans.state import ScanCount, count_files
from dsr_jax.data.scans.writing import write_scan, write_synthetic_scans

__all__ = [
    "Scan",
    "ScanCount",
    "ScanView",
    "count_files",
    "count_scans",
    "find_scans",
    "read_scan",
    "scan_counts",
    "write_scan",
    "write_synthetic_scans",
]
