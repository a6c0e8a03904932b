"""What of a data set could not be used while examples were read, and why.

Reading an example returns its troubles beside it, so that a worker process can hand
them to the one that counts.
"""

import collections
import dataclasses
import re
import sys
import threading
from collections.abc import Callable, Iterable

from tqdm import tqdm

BROKEN_PHOTO = "broken_photos"
BROKEN_LABEL_MAP = "broken_label_maps"
REFUSED_LABEL_MAP = "refused_label_maps"
KINDS = (BROKEN_PHOTO, BROKEN_LABEL_MAP, REFUSED_LABEL_MAP)

_WORDS = {
    BROKEN_PHOTO: "photo(s) broken",
    BROKEN_LABEL_MAP: "label map(s) broken",
    REFUSED_LABEL_MAP: "label map(s) refused",
}


@dataclasses.dataclass(frozen=True)
class Trouble:
    """One thing that was left out."""

    kind: str
    """One of `KINDS`."""
    what: str
    """The file; of a refused label map, the person: it counts once, however often it
    is drawn."""
    reason: str
    """In a word or two, for counting; numbers in it do not matter."""
    line: str = ""
    """What standard error is told when it is met first; "" for nothing."""


class Tally:
    """Troubles so far; may be shared by threads."""

    def __init__(self, tell: Callable[[str], None] | None = None):
        """`tell` is given one line for each broken file; by default standard error."""
        self._tell = _to_standard_error if tell is None else tell
        self._lock = threading.Lock()
        self._reasons: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}

    def add(self, troubles: Iterable[Trouble]) -> None:
        """Counts what is new, and names it if it has a line."""
        for trouble in troubles:
            with self._lock:
                known = self._reasons[trouble.kind]
                new = trouble.what not in known
                known[trouble.what] = trouble.reason
            if new and trouble.line:
                self._tell(f"warning: skipped: {trouble.line}")

    def counts(self) -> dict[str, float]:
        """For the metrics: how many of each kind so far."""
        with self._lock:
            return {f"data/{k}": float(len(v)) for k, v in self._reasons.items()}

    def lines(self) -> list[str]:
        """How many were not used for each reason, the most frequent first."""
        with self._lock:
            counters = {
                # Counts differ from map to map, reasons do not ("8-bit" is one).
                kind: collections.Counter(
                    re.sub(r"\b[0-9.]+(?=\s|$)", "N", reason)
                    for reason in reasons.values()
                )
                for kind, reasons in self._reasons.items()
            }
        return [
            f"{count} {_WORDS[kind]}: {reason}"
            for kind, counter in counters.items()
            for reason, count in counter.most_common()
        ]


def _to_standard_error(line: str) -> None:
    # Above a progress bar, if there is one, which a plain print would tear.
    tqdm.write(line, file=sys.stderr)
