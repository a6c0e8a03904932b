"""Two evaluations of the same people: differences with bootstrap intervals.

Differences are paired, person by person, and whole recordings are drawn again: frames
of one recording are alike, so that drawing frames would make intervals far too narrow
(the cluster bootstrap; Field and Welsh 2007).
"""

import dataclasses

import numpy as np

from dsr_jax.arrays import Float
from dsr_jax.errors import UserError
from dsr_jax.evaluation.evaluation import METRICS, MPJPE_WEIGHT, PA_WEIGHT
from dsr_jax.evaluation.report import TITLES
from dsr_jax.evaluation.saved import SavedEvaluation

RESAMPLES = 10_000
CONFIDENCE_PERCENT = 95.0
# Below this many recordings a percentile interval is too narrow to be trusted.
FEW_CLUSTERS = 10
_SEED = 0
_SCORE = "score"
_DRAWN_AT_ONCE = 2_000_000


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far the second is from the first in one metric, over the common people."""

    metric: str
    first: float
    second: float
    low: float
    """Of the interval around `second - first`."""
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Every metric that both have."""

    differences: tuple[Difference, ...]
    common: int
    """People that both measured; the others play no part."""
    only_first: int
    only_second: int
    clusters: int
    """What is drawn again: recordings, or people where no recording is named."""
    by_sequence: bool


def compare_evaluations(first: SavedEvaluation, second: SavedEvaluation) -> Comparison:
    """Paired differences of the means over the people that both measured.

    Raises:
      UserError: the protocols differ, or nobody is in both.
    """
    _check_same_protocol(first, second)
    rows = _paired_rows(first, second)
    ours, theirs = ({k: v[r] for k, v in _values(e).items()} for e, r in rows)
    sequences = first.people["sequence"][rows[0][1]]
    by_sequence = bool((sequences != "").all())
    names = sequences if by_sequence else first.people["name"][rows[0][1]]
    metrics = [metric for metric in ours if metric in theirs]
    change = np.stack([theirs[m] - ours[m] for m in metrics], axis=-1)
    low, high = bootstrap_interval(change, names)
    differences = (
        Difference(m, float(ours[m].mean()), float(theirs[m].mean()), lo, hi)
        for m, lo, hi in zip(metrics, low.tolist(), high.tolist(), strict=True)
    )
    common = len(sequences)
    return Comparison(
        differences=tuple(differences),
        common=common,
        only_first=len(first.people["name"]) - common,
        only_second=len(second.people["name"]) - common,
        clusters=len(np.unique(names)),
        by_sequence=by_sequence,
    )


def bootstrap_interval(
    values: Float[np.ndarray, "N M"],
    cluster: np.ndarray,
    resamples: int = RESAMPLES,
    confidence_percent: float = CONFIDENCE_PERCENT,
) -> tuple[Float[np.ndarray, "M"], Float[np.ndarray, "M"]]:
    """Percentile interval of the mean of each column; whole clusters are drawn.

    Args:
      values: a row a person.
      cluster: (N,) names; rows of one name are drawn together.
      resamples: how often; the seed is fixed, so that the same files give the same.
      confidence_percent: of the interval.

    Returns:
      Its lower and upper ends.
    """
    _, member = np.unique(cluster, return_inverse=True)
    sizes = np.bincount(member).astype(np.float64)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, member, values)
    random = np.random.default_rng(_SEED)
    at_once = max(1, _DRAWN_AT_ONCE // len(sizes))
    means = []
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = random.integers(0, len(sizes), (count, len(sizes)))
        means.append(sums[drawn].sum(1) / sizes[drawn].sum(1)[:, None])
    tail = (100 - confidence_percent) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail], axis=0)
    return low, high


def format_comparison(
    first: SavedEvaluation, second: SavedEvaluation, comparison: Comparison
) -> str:
    """A table for people; below 0 in `B - A` says that the second's are smaller."""
    protocol = first.protocol
    drawn = "recordings" if comparison.by_sequence else "people"
    lines = [
        f"A             {first.path}",
        f"B             {second.path}",
        f"protocol      {protocol['name']}: {protocol['dataset']}, {protocol['split']}",
        f"people        {comparison.common} in both",
    ]
    for count, name in ((comparison.only_first, "A"), (comparison.only_second, "B")):
        if count:
            lines.append(f"              {count} only in {name}: they play no part")
    lines.append(
        f"intervals     {CONFIDENCE_PERCENT:.0f} %, paired bootstrap over "
        f"{comparison.clusters} {drawn}, {RESAMPLES} resamples"
    )
    if not comparison.by_sequence:
        lines.append(
            "              no recordings are named: if several frames are of one, too "
            "narrow"
        )
    if comparison.clusters < FEW_CLUSTERS:
        lines.append(
            f"              fewer than {FEW_CLUSTERS} {drawn}: too narrow to be trusted"
        )
    lines += ["", f"{'':22}{'A':>9}{'B':>9}{'B - A':>9}   interval"]
    for one in comparison.differences:
        title = TITLES.get(one.metric, one.metric)
        interval = f"[{one.low:+.2f}, {one.high:+.2f}]"
        verdict = "differs" if one.clear else "no clear difference"
        lines.append(
            f"{title:22}{one.first:9.2f}{one.second:9.2f}{one.second - one.first:+9.2f}"
            f"   {interval:20}{verdict}"
        )
    return "\n".join(lines)


def _values(saved: SavedEvaluation) -> dict[str, np.ndarray]:
    """Each person's metrics and score."""
    values = {name: saved.people[name] for name in METRICS if name in saved.people}
    score = PA_WEIGHT * values["pa_mpjpe"] + MPJPE_WEIGHT * values["mpjpe"]
    return values | {_SCORE: score}


def _check_same_protocol(first: SavedEvaluation, second: SavedEvaluation) -> None:
    ours, theirs = first.protocol, second.protocol
    different = [k for k in sorted(ours | theirs) if ours.get(k) != theirs.get(k)]
    if different:
        names = f"'{ours.get('name')}' and '{theirs.get('name')}'"
        raise UserError(
            f"{first.path} and {second.path}: protocols {names} differ in "
            f"{', '.join(different)}; compare evaluations of one protocol"
        )


def _paired_rows(
    first: SavedEvaluation, second: SavedEvaluation
) -> tuple[tuple[SavedEvaluation, np.ndarray], tuple[SavedEvaluation, np.ndarray]]:
    """Rows of the same people in the same order."""
    for one in (first, second):
        if len(np.unique(one.people["name"])) != len(one.people["name"]):
            raise UserError(f"{one.path}: two people have one name; they cannot be met")
    names, ours, theirs = np.intersect1d(
        first.people["name"], second.people["name"], return_indices=True
    )
    if not len(names):
        raise UserError(
            f"{first.path} and {second.path}: nobody is in both; compare evaluations "
            "of one data set"
        )
    return (first, ours), (second, theirs)
