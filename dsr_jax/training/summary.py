"""How each loss term went from the start of a run to its end."""

from collections.abc import Mapping, Sequence

import numpy as np

# A record's mean over a few steps is noisy: the start and the end are means over a
# tenth of the records in which the term was active.
_SHARE = 0.1


def term_progress(
    records: Sequence[Mapping[str, float]],
) -> dict[str, tuple[float, float]]:
    """Loss term → (its mean at the start, its mean at the end), before weighting.

    Args:
      records: of metrics.jsonl, in the order of their steps.
    """
    terms: dict[str, list[float]] = {}
    for record in records:
        for name, value in record.items():
            if name.startswith("term/"):
                terms.setdefault(name.removeprefix("term/"), []).append(value)
    progress = {}
    for name, values in terms.items():
        share = max(1, round(_SHARE * len(values)))
        progress[name] = float(np.mean(values[:share])), float(np.mean(values[-share:]))
    return progress


def loss_table(records: Sequence[Mapping[str, float]]) -> str:
    """`term_progress` for people."""
    lines = [f"{'loss term':22}{'start':>12}{'end':>12}{'ratio':>8}"]
    for name, (start, end) in term_progress(records).items():
        ratio = f"{end / start:8.2f}" if start else f"{'-':>8}"
        lines.append(f"{name:22}{start:12.4g}{end:12.4g}{ratio}")
    return "\n".join(lines)
