"""Learns the semantic prior of a body, from scans or from synthetic clothed people.

    python tools/learn_prior.py --scans FOLDER --body FILE --output prior.npz
    python tools/learn_prior.py --body free --people 1000 --views 10 \
        --output dsr_jax/semantics/assets/free.npz

Scans are fitted bodies with cameras and label maps, see `dsr_jax.data.scans.reading`. A
stopped count (Ctrl-C) goes on when the same command is given again.

Without scans, each synthetic person stands in one pose and one outfit before every
camera. The people are of the training split; the same command gives the same file on
the same kind of device, whatever the number of devices and hosts.

On several machines, start the same command on each (docs/launching.md); the first
process writes for all.

Either way the visible faces of the naked body take the labels of the clothed picture,
and every view gives each vertex that it shows one vote (`semantics.prior_learning`).
"""

import os
import sys
from pathlib import Path

import numpy as np

from dsr_jax.body import BodyModel, load_body
from dsr_jax.data.scans import find_scans
from dsr_jax.data.synthetic import whole_people
from dsr_jax.errors import Interrupted, UserError, one_line_errors
from dsr_jax.hosts import is_first_host, joined_hosts
from dsr_jax.hosts.shared_failure import failing_together
from dsr_jax.semantics import (
    TAXONOMIES,
    mirror_vertices,
    prior_from_counts,
    save_prior,
    symmetrize_counts,
    taxonomy_by_name,
)
from dsr_jax.training.command_line import OneLineParser
from dsr_jax.training.ending import ends_within
from dsr_jax.training.interruption import StopRequest
from dsr_jax.training.prior_counts import scan_votes, synthetic_votes

_BROKEN_SHOWN = 10
_SYNTHETIC = {"people": 1000, "views": 10, "image_size": 224, "seed": 0}


def main() -> None:
    """Reads the command line and does the job."""
    parser = OneLineParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", default="free", help="free, free-lite or a file")
    parser.add_argument("--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument(
        "--symmetrize", action="store_true", help="count mirrored views, too"
    )
    scans = parser.add_argument_group("from scans")
    scans.add_argument("--scans", type=Path, help="folder with a folder for each scan")
    scans.add_argument("--broken", choices=("stop", "skip"), default="stop")
    scans.add_argument(
        "--taxonomy", choices=sorted(TAXONOMIES), default="cihp", help="of label maps"
    )
    scans.add_argument("--threads", type=int, default=os.cpu_count(), help="at once")
    people = parser.add_argument_group("from synthetic people")
    for name, value in _SYNTHETIC.items():
        flag = f"--{name.replace('_', '-')}"
        people.add_argument(flag, type=int, help=f"{value} by default")
    arguments = vars(parser.parse_args())
    synthetic = {name: arguments.pop(name) for name in _SYNTHETIC}
    with one_line_errors(), StopRequest() as stop:
        try:
            with joined_hosts(check=stop.check):
                _start(arguments, synthetic, stop)
        except Interrupted as interruption:
            outlook = "starts again" if arguments["scans"] is None else "counts on"
            print(
                f"interrupted ({interruption}): the same command {outlook}",
                file=sys.stderr,
            )
            sys.exit(interruption.exit_code)


def _start(arguments: dict, synthetic: dict, stop: StopRequest) -> None:
    """Chooses the source by what was given."""
    given = {name: value for name, value in synthetic.items() if value is not None}
    if arguments["scans"] is not None:
        if given:
            flag = f"--{min(given).replace('_', '-')}"
            raise UserError(
                f"{flag} is for synthetic people: leave it out with --scans"
            )
        learn_from_scans(**arguments, stop=stop)
    else:
        chosen = {name: arguments[name] for name in ("body", "output", "symmetrize")}
        learn(**chosen, **(_SYNTHETIC | given), stop=stop)


def learn_from_scans(
    scans: Path,
    body: str,
    output: Path,
    threads: int,
    broken: str,
    taxonomy: str,
    symmetrize: bool,
    stop: StopRequest,
) -> None:
    """Counts the scans that are not counted yet, and writes the prior.

    Raises:
      UserError: no scans, a broken one unless they are skipped, none that is not, or a
        part of the body that no view showed.
      Interrupted: after a signal; the counts so far are kept beside the output.
    """
    with failing_together():
        _check(output, threads=threads)
        model, folders = load_body(body), find_scans(scans)
        mirror = mirror_vertices(model.template) if symmetrize else None
    names = taxonomy_by_name(taxonomy)
    skip = broken == "skip"
    votes = scan_votes(folders, model, names, output, threads, skip, stop.check)
    with failing_together():
        if not votes.done:
            raise UserError(f"{scans}: every scan is broken: {votes.refused[0]}")
        _write(votes.counts, mirror, model, output, f"{votes.done} scans")
    votes.remove_files()
    if is_first_host():
        _report(votes.refused)


def _report(refused: list[str]) -> None:
    if refused:
        print(f"skipped {len(refused)} broken scans:", file=sys.stderr)
    for line in refused[:_BROKEN_SHOWN]:
        print(f"  {line}", file=sys.stderr)
    if len(refused) > _BROKEN_SHOWN:
        print(f"  and {len(refused) - _BROKEN_SHOWN} more", file=sys.stderr)


def learn(
    body: str,
    people: int,
    views: int,
    image_size: int,
    seed: int,
    output: Path,
    symmetrize: bool,
    stop: StopRequest,
) -> None:
    """Renders synthetic people, counts, and writes the prior.

    Raises:
      UserError: a number that is not positive, an unknown body, a missing folder, or a
        part of the body that no view showed.
      Interrupted: after a signal; nothing is written.
    """
    with failing_together():
        _check(output, people=people, views=views)
        try:
            settings = whole_people(image_size)
        except ValueError as error:
            raise UserError(f"--image-size {image_size}: {error}") from error
        model = load_body(body)
        mirror = mirror_vertices(model.template) if symmetrize else None
    votes = synthetic_votes(model, people, views, settings, seed, stop.check)
    with failing_together():
        _write(votes, mirror, model, output, f"{people * views} views")


def _check(output: Path, **numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise UserError(f"--{name} is {value}: give 1 or more")
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name the .npz to write")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no such folder; create it first")


def _write(
    counts: np.ndarray,
    mirror: np.ndarray | None,
    model: BodyModel,
    output: Path,
    source: str,
) -> None:
    """Probabilities from counts, into the file; the first host's task."""
    if not is_first_host():
        return
    votes = counts if mirror is None else symmetrize_counts(counts, mirror)
    prior = prior_from_counts(votes, model.faces, model.name)
    save_prior(output, prior)
    seen = np.asarray(prior.counts)
    print(
        f"wrote {output} from {source}: {len(seen)} vertices, the median seen in "
        f"{np.median(seen):.0f} views, {int((seen == 0).sum())} in none"
    )


if __name__ == "__main__":
    with ends_within():
        main()
