"""Tables of docs/scaling.md, from the rows of benchmarks/scaling_model.py."""

from collections.abc import Sequence
from typing import Any

from benchmarks.accelerators import ACCELERATORS, Accelerator


def bound(row: dict[str, Any], chip: Accelerator) -> dict[str, Any]:
    """Time of a step on a chip at its peaks: what it computes, accesses and sends."""
    seconds = {
        "compute": row["flops"] / getattr(chip, row["dtype"]),
        "memory": row["bytes_accessed"] / chip.memory,
        "interconnect": row["communication"]["bytes_sent"]
        / chip.interconnect(row["devices"]),
    }
    slowest = max(seconds, key=seconds.__getitem__)
    return {
        **{f"{name}_ms": 1e3 * value for name, value in seconds.items()},
        "bound": slowest,
        "images_per_second": row["images"] / seconds[slowest],
        "fits": row["memory_bytes"] <= chip.capacity,
    }


def cost_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: what the programs say."""
    lines = [
        "| devices | images | a device | GFLOP | GB accessed | state, GB | memory, GB "
        "| collectives, of the gradients | sent, MB | of that neither gradients nor "
        "weights, MB |",
        f"|{'---|' * 10}",
    ]
    for row in rows:
        talk = row["communication"]
        lines.append(
            f"| {row['devices']} | {row['images']} | {row['images_per_device']} "
            f"| {row['flops'] / 1e9:.0f} | {row['bytes_accessed'] / 1e9:.1f} "
            f"| {row['memory']['aliased'] / 1e9:.2f} "
            f"| {row['memory_bytes'] / 1e9:.2f} "
            f"| {sum(talk['kinds'].values())}, {talk['gradient_reductions']} "
            f"| {talk['bytes_sent'] / 1e6:.1f} "
            f"| {talk['other_bytes_sent'] / 1e6:.2f} |"
        )
    return lines


def bound_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: milliseconds of compute / memory / interconnect by accelerator."""
    names = [chip.name for chip in ACCELERATORS]
    lines = [
        f"| devices | images | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for row in rows:
        cells = []
        for chip in ACCELERATORS:
            times = bound(row, chip)
            numbers = " / ".join(
                f"{times[f'{part}_ms']:.1f}"
                for part in ("compute", "memory", "interconnect")
            )
            cells.append(numbers if times["fits"] else f"{numbers} (does not fit)")
        lines.append(f"| {row['devices']} | {row['images']} | {' | '.join(cells)} |")
    return lines
