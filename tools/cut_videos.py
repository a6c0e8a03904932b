"""Cuts the videos of a data set into the photos that its reader asks for.

    python tools/cut_videos.py --kind h36m --root data/h36m
    python tools/cut_videos.py --kind mpi-inf-3dhp --root data/mpi_inf_3dhp

Every fifth frame of Human3.6M and every tenth of MPI-INF-3DHP, named as their readers
want them (docs/data.md). Photos that are there already stay, so that the same command
goes on where it was stopped.
"""

import sys
from pathlib import Path

from absl import flags
from tqdm import tqdm

from dsr_jax.data.readers.frames import KINDS, cut_video, videos_of
from dsr_jax.errors import UserError
from dsr_jax.training.command_line import require, run_script

FLAGS = flags.FLAGS
flags.DEFINE_enum("kind", None, list(KINDS), "The data set.")
flags.DEFINE_string("root", None, "Its folder.")
flags.DEFINE_integer("step", 0, "Every how many frames; 0: as its reader.")
flags.DEFINE_bool(
    "skip_broken", False, "Names videos that cannot be read, and goes on."
)


def main(_: list[str]) -> None:
    """Videos → photos."""
    require(kind=FLAGS.kind, root=FLAGS.root)
    if FLAGS.step < 0:
        raise UserError(f"--step {FLAGS.step}: must not be negative")
    videos, step = videos_of(FLAGS.kind, Path(FLAGS.root))
    step, frames, skipped = FLAGS.step or step, 0, 0
    for video in tqdm(videos, unit="video", disable=None):
        try:
            frames += cut_video(video, step)
        except UserError as error:
            if not FLAGS.skip_broken:
                raise
            skipped += 1
            tqdm.write(f"warning: skipped: {error}", file=sys.stderr)
    print(
        f"{len(videos) - skipped} videos of {frames} frames, one photo every {step}; "
        f"{skipped} skipped"
    )


if __name__ == "__main__":
    run_script(main)
