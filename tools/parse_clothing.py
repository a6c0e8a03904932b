r"""Label maps for a folder of photos, with a human parser in an ONNX file.

    pip install -e '.[parsing]'
    python tools/parse_clothing.py --recipe schp-atr --model schp-atr.onnx \
        --images photos --annotations people.npz --output labels

The label map of `photos/a/b.jpg` is `labels/a/b.png`, where training looks for it, in
CIHP's labels. The same command goes on where it was stopped. docs/parsing.md tells how
public parsers become ONNX files.
"""

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any

from absl import flags

from dsr_jax.errors import Interrupted, UserError
from dsr_jax.parsing import (
    RECIPES,
    RECORD_FILE,
    ParserSettings,
    Tally,
    WorkSettings,
    find_jobs,
    parse_folder,
    read_record,
    recipe_by_name,
)
from dsr_jax.training.command_line import require, run_script
from dsr_jax.training.interruption import StopRequest

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "The .onnx file.")
flags.DEFINE_string("images", None, "Folder of photos, folders in it included.")
flags.DEFINE_string("output", None, "Folder of label maps; made if it does not exist.")
flags.DEFINE_string("annotations", None, "SPIN npz: parse its people one by one.")
flags.DEFINE_string("openpose", None, "Folder of OpenPose's json (BODY_25): the same.")
flags.DEFINE_string("box", None, 'Folder of {"bbox": [x, y, w, h]}: the same.')
flags.DEFINE_float("grow", 1.25, "Factor of people's boxes.", lower_bound=0.1)
flags.DEFINE_enum(
    "outside", "background", ["background", "whole"], "What lies outside of all boxes."
)

flags.DEFINE_string("recipe", None, f"Settings of {', '.join(RECIPES)}.")
flags.DEFINE_string("taxonomy", None, "The model's labels: cihp, lip, atr or pascal.")
flags.DEFINE_string("input_size", None, "HxW; 0 keeps the photo's pixels.")
flags.DEFINE_enum("resize", None, ["stretch", "fit"], "Fit keeps the proportions.")
flags.DEFINE_enum("alignment", None, ["centres", "corners"], "Of a coarser output.")
flags.DEFINE_list("mean", None, "Of r,g,b, subtracted.")
flags.DEFINE_list("std", None, "Of r,g,b, divided by.")
flags.DEFINE_enum("channels", None, ["rgb", "bgr"], "The order the model takes.")
flags.DEFINE_enum("range", None, ["1", "255"], "What white is before --mean, --std.")
flags.DEFINE_list("scales", None, "Factors of the input's size to average over.")
flags.DEFINE_bool("flip", None, "Average with the mirrored photo too.")
flags.DEFINE_integer("size_multiple", None, "Input sizes are multiples of it.")
flags.DEFINE_integer("longest_side", None, "Shrink larger views; with --input_size 0.")
flags.DEFINE_string("output_index", None, "Number or name of the model's output.")
flags.DEFINE_bool("keep_taxonomy", None, "Write the model's own label numbers.")

flags.DEFINE_integer("processes", 1, "Each loads the model.", lower_bound=1)
flags.DEFINE_integer("threads", 0, "Of each; 0 divides the cores.", lower_bound=0)
flags.DEFINE_enum("provider", "cpu", ["cpu", "cuda"], "What runs the model.")
flags.DEFINE_enum("broken", "skip", ["skip", "stop"], "At a photo that is unreadable.")
flags.DEFINE_bool("overwrite", False, "Parse all photos anew.")

# Broken photos told by name; the record lists all.
_NAMED = 10


def main(_: list[str]) -> int:
    """Flags → settings → photos → label maps."""
    require(model=FLAGS.model, images=FLAGS.images, output=FLAGS.output)
    settings = WorkSettings(
        model=FLAGS.model,
        parser=parser_settings(),
        images=FLAGS.images,
        output=FLAGS.output,
        growth=FLAGS.grow,
        outside=FLAGS.outside,
        provider=FLAGS.provider,
        threads=FLAGS.threads,
        processes=FLAGS.processes,
    )
    sources = {n: FLAGS[n].value for n in ("annotations", "openpose", "box")}
    jobs = find_jobs(FLAGS.images, **sources)
    people = next((name for name, value in sources.items() if value), "none")
    # A map of background alone would say that nobody is there.
    unlike = people != "none" and FLAGS.outside == "background"
    shown = [job for job in jobs if job.people or not unlike]
    if not shown:
        raise UserError(
            f"{sources[people]}: shows nobody in any photo; use --outside whole"
        )
    with StopRequest() as stop:
        try:
            tally = parse_folder(
                shown,
                settings,
                people,
                skip_broken=FLAGS.broken == "skip",
                overwrite=FLAGS.overwrite,
                check=stop.check,
            )
        except Interrupted as interrupted:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return interrupted.exit_code
    report(tally, len(jobs) - len(shown))
    return 0


def parser_settings() -> ParserSettings:
    """The recipe's settings, or none, changed by the flags that are given.

    Raises:
      UserError: neither recipe nor taxonomy, or a value that cannot be meant.
    """
    given = {
        name: convert(name, FLAGS[name].value)
        for name, convert in _CONVERTED.items()
        if FLAGS[name].value is not None
    }
    named = {_FIELDS.get(name, name): value for name, value in given.items()}
    if FLAGS.recipe is None and FLAGS.taxonomy is None:
        raise UserError(
            "command line: give --recipe, or --taxonomy and the settings of the model"
        )
    try:
        if FLAGS.recipe is None:
            return ParserSettings(**named)
        return dataclasses.replace(recipe_by_name(FLAGS.recipe), **named)
    except ValueError as error:
        raise UserError(f"command line: {error}") from error


def report(tally: Tally, without_people: int) -> None:
    """What became of the photos; those that could not be read by name."""
    print(
        f"{tally.written} label maps written, {tally.present} were there before, "
        f"{tally.broken} photos unreadable; {RECORD_FILE} is in {FLAGS.output}"
    )
    if tally.void:
        print(f"{tally.void} photos show only what CIHP has no label for: no label map")
    if without_people:
        print(
            f"{without_people} photos show nobody with enough keypoints: no label map"
        )
    broken = list(read_record(FLAGS.output)["broken"].values()) if tally.broken else []
    for message in broken[:_NAMED]:
        print(f"unreadable: {message}", file=sys.stderr)
    if len(broken) > _NAMED:
        print(f"unreadable: {len(broken) - _NAMED} more", file=sys.stderr)


def _same(_: str, value: Any) -> Any:
    return value


def _numbers(name: str, words: list[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UserError(f"--{name} {','.join(words)}: give numbers, as in 0.5,1,1.5")
    return numbers


def _size(name: str, text: str) -> tuple[int, int] | None:
    """HxW, or None for 0."""
    if text == "0":
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise UserError(f"--{name} {text}: give HxW, as in 473x473, or 0")
    return int(sides[0]), int(sides[1])


def _integer(_: str, text: str) -> int | str:
    """A number if it is one, and else the name."""
    return int(text) if text.isdecimal() else text


# Where the field of ParserSettings has another name than the flag.
_FIELDS = {"range": "value_range", "output_index": "output"}
_CONVERTED: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("taxonomy", "resize", "alignment", "channels", "flip"), _same),
    **dict.fromkeys(("size_multiple", "longest_side", "keep_taxonomy"), _same),
    **dict.fromkeys(("mean", "std", "scales"), _numbers),
    **dict.fromkeys(("range", "output_index"), _integer),
    "input_size": _size,
}

if __name__ == "__main__":
    run_script(main)
