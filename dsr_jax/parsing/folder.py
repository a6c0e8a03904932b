"""A folder of photos becomes a folder of label maps; may be stopped and continued."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dsr_jax.data import make_folder
from dsr_jax.errors import UserError
from dsr_jax.parsing.jobs import Job
from dsr_jax.parsing.onnx_file import model_hash
from dsr_jax.parsing.record import open_record, write_record
from dsr_jax.parsing.worker import Outcome, WorkSettings, outcomes
from dsr_jax.semantics import CIHP, read_label_map


@dataclasses.dataclass
class Tally:
    """How many photos became what."""

    written: int = 0
    present: int = 0
    """Were there before."""
    void: int = 0
    broken: int = 0


def parse_folder(
    jobs: Sequence[Job],
    settings: WorkSettings,
    people: str = "none",
    skip_broken: bool = True,
    overwrite: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Tally:
    """Parses what is not parsed yet.

    Args:
      jobs: the photos.
      settings: the model and the folders.
      people: where the boxes come from, for the record.
      skip_broken: go on after a photo that cannot be read.
      overwrite: parse all photos anew.
      check: called after every photo; may raise to stop.

    Returns:
      Counts; names are in the record.

    Raises:
      UserError: folders or the model cannot be used, or were used otherwise before; a
        photo cannot be read and is not to be skipped, or none can be read.
    """
    output = _output_folder(settings)
    made_by = _made_by(settings, people)
    names = [job.label_name for job in jobs]
    record = open_record(output, made_by, names, overwrite)
    todo = [job for job in jobs if overwrite or not _is_done(job, settings, record)]
    tally = Tally(present=len(jobs) - len(todo))
    with outcomes(todo, settings) as done:
        if overwrite:
            # Before the record, which would vouch for them if this run were stopped.
            _remove(output, names)
        write_record(output, record)
        try:
            with tqdm(total=len(jobs), initial=tally.present, unit="photo") as bar:
                for outcome in done:
                    _count(outcome, tally, record)
                    bar.update()
                    if outcome.kind == "broken" and not skip_broken:
                        raise UserError(f"{outcome.message} (--broken skip goes on)")
                    check()
        finally:
            record["counts"] = {"photos": len(jobs), **dataclasses.asdict(tally)}
            write_record(output, record)
    if todo and tally.broken == len(todo) and not tally.present:
        raise UserError(
            f"no photo can be read: {next(iter(record['broken'].values()))}"
        )
    return tally


def _output_folder(settings: WorkSettings) -> Path:
    """Makes the folder, unless label maps would lie among the photos."""
    images, output = Path(settings.images).resolve(), Path(settings.output).resolve()
    if output == images or images in output.parents:
        raise UserError(
            f"{settings.output}: --output lies in --images, where label maps would be "
            "taken for photos; give another folder"
        )
    return make_folder(settings.output)


def _made_by(settings: WorkSettings, people: str) -> dict[str, Any]:
    """Whatever decides the labels; threads, processes and places do not."""
    shown: dict[str, Any] = {"source": people}
    if people != "none":
        shown |= {"growth": settings.growth, "outside": settings.outside}
    written = settings.parser.labels if settings.parser.keep_taxonomy else CIHP
    return {
        "model": {
            "file": Path(settings.model).name,
            "sha256": model_hash(settings.model),
        },
        "settings": dataclasses.asdict(settings.parser),
        "people": shown,
        "labels": {"taxonomy": written.name, "names": list(written.names)},
    }


def _remove(output: Path, names: Sequence[str]) -> None:
    try:
        for name in names:
            (output / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{output / name}: cannot remove: {error.strerror}; check the folder"
        ) from error


def _is_done(job: Job, settings: WorkSettings, record: dict[str, Any]) -> bool:
    """Whether the label map is there and can be read, or is known to be void."""
    if job.name in record["void"]:
        return True
    path = Path(settings.output) / job.label_name
    if not path.exists():
        return False
    parser = settings.parser
    written = parser.labels if parser.keep_taxonomy else CIHP
    try:
        read_label_map(path, taxonomy=written, void=True)
    except UserError:
        return False
    return True


def _count(outcome: Outcome, tally: Tally, record: dict[str, Any]) -> None:
    name = outcome.job.name
    setattr(tally, outcome.kind, getattr(tally, outcome.kind) + 1)
    record["broken"].pop(name, None)
    if outcome.kind == "broken":
        record["broken"][name] = outcome.message
    elif outcome.kind == "void":
        record["void"].append(name)
