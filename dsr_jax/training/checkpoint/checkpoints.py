"""The checkpoints of a run: saving behind its back, restoring what is verified.

A save copies the state on the devices, in one compiled call, and returns; the step that
follows may donate the state. A thread then writes the copies into `<step>.partial`,
adds the record with a fingerprint of every array and a digest of every file, and
renames the folder to `<step>`: that instant decides. Only thereafter are older
checkpoints deleted. Several processes write their own parts into one folder of a shared
file system; the first one does all the book-keeping, and tells the others.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsr_jax.errors import UserError
from dsr_jax.hosts.agreement import Agreement
from dsr_jax.training.checkpoint import folder as folders
from dsr_jax.training.checkpoint.background import Background
from dsr_jax.training.checkpoint.damage import Damaged
from dsr_jax.training.checkpoint.folder import CHECKPOINTS, Entry
from dsr_jax.training.checkpoint.items import (
    REGRESSOR,
    abstract_item,
    copy_items,
    from_item,
    join_state,
    split_state,
    to_item,
)
from dsr_jax.training.checkpoint.reading import read_checkpoint, read_old_item
from dsr_jax.training.checkpoint.record import Record
from dsr_jax.training.checkpoint.retention import Retention, by_score
from dsr_jax.training.checkpoint.writing import Draft, write_checkpoint
from dsr_jax.training.state import TrainState

SCORE = "score"
_ANEW = "delete the folder to start the run anew"


@dataclass(frozen=True)
class Restored:
    """What `Checkpoints.restore_latest` found."""

    state: TrainState
    """Placed as it was asked for."""
    data: dict[str, Any]
    """State of the data stream."""
    step: int
    """Finished steps; with the others as in `Record`."""
    score: float | None
    best_step: int | None
    best_score: float | None
    processes: int
    devices: int


class Checkpoints:
    """The `checkpoints` folder of a run.

    Every process of a job makes one and calls the same methods in the same order.
    """

    def __init__(
        self,
        workdir: Path,
        retention: Retention = Retention(),  # noqa: B008  (frozen)
        read_only: bool = False,
    ):
        """Opens the folder, which one that may write makes and tidies up.

        Raises:
          UserError: the folder cannot be made, read or written, or every checkpoint in
            it is damaged.
        """
        self._folder = workdir / CHECKPOINTS
        self._retention = retention
        self._read_only = read_only
        self._agreement = Agreement(f"{self._folder}", (Damaged,))
        self._writers = Agreement(f"writing {self._folder}", (Damaged,))
        self._background = Background()
        found = self._agreement.by_first(self._open)
        self._entries = {int(step): Entry(**entry) for step, entry in found.items()}

    @property
    def latest_step(self) -> int | None:
        """Step of the newest checkpoint that is completely written."""
        return max(self._entries, default=None)

    @property
    def best_step(self) -> int | None:
        """Step of the checkpoint with the lowest score; the newest if none has one.

        Raises:
          UserError: a record is damaged, so that its score is not known.
        """
        for step, entry in self._entries.items():
            if entry.fault:
                raise UserError(
                    f"{self._folder / str(step)}: damaged ({entry.fault}): its score "
                    "is lost, and which checkpoint is best with it; rename the folder "
                    "to go without"
                )
        ranked = by_score({step: e.score for step, e in self._entries.items()})
        return ranked[0] if ranked else self.latest_step

    @property
    def best_score(self) -> float | None:
        """The lowest score of the run so far, be its checkpoint kept or not."""
        scores = {i: e.best_score for i, e in enumerate(self._entries.values())}
        ranked = by_score(scores)
        return scores[ranked[0]] if ranked else None

    def save(
        self, state: TrainState, data: Mapping[str, Any], score: float | None = None
    ) -> None:
        """Saves `state` under its step; nothing to do if that step is there already.

        Returns as soon as the copy is queued on the devices, after waiting for the
        previous save.

        Args:
          state: what to save; may be donated thereafter.
          data: state of the data stream, JSON-able and the same in every process.
          score: 1.5·PA-MPJPE + MPJPE of this state, if it was evaluated.

        Raises:
          UserError: the previous save failed.
        """
        self.wait()
        step = int(state.step)
        if step in self._entries:
            return
        items = {name: to_item(part) for name, part in split_state(state).items()}
        score = None if score is None else float(score)
        best_step, best_score = self._best_with(step, score)
        draft = Draft(
            step=step,
            score=score,
            best_step=best_step,
            best_score=best_score,
            # A copy: the stream moves on while it is written.
            data=json.loads(json.dumps(dict(data))),
            items=copy_items(items),
        )
        self._background.start(lambda: self._write(draft))

    def check(self) -> None:
        """Raises if a save has failed meanwhile; does not wait.

        Raises:
          UserError: the folder could not be written.
        """
        self._background.check()

    def wait(self) -> None:
        """Waits until everything is on the disk.

        Raises:
          UserError: the folder could not be written, or the disk does not answer.
        """
        self._background.wait(f"{self._folder}: writing a checkpoint")

    def close(self) -> None:
        """As `wait`; a program that ends without it may lose a save under way."""
        self.wait()

    def restore_latest(self, like: TrainState) -> Restored:
        """The newest state that is whole, placed as `like` is.

        A damaged checkpoint is put aside under a name that says so, with one line on
        standard error, and the one before it is taken.

        Args:
          like: arrays, or their shapes, types and shardings.

        Raises:
          UserError: no checkpoint is left, or it belongs to another network.
        """
        self.wait()
        parts = split_state(like)
        abstract = {name: abstract_item(part) for name, part in parts.items()}
        while (step := self.latest_step) is not None:
            try:
                items, record = self._read(step, abstract)
            except Damaged as damage:
                self._put_aside(step, str(damage))
                continue
            restored = {name: from_item(items[name], parts[name]) for name in parts}
            return _restored(join_state(restored, like), record)
        raise UserError(f"{self._folder}: holds no checkpoint that is whole; {_ANEW}")

    def restore_regressor(self, step: int, like: Mapping[str, Any]) -> dict[str, Any]:
        """`params` and `statistics` at `step`, shaped and placed as in `like`.

        Raises:
          UserError: the checkpoint is damaged or belongs to another network.
        """
        abstract = abstract_item(dict(like))
        place = self._folder / str(step)
        entry = self._entries[step]
        try:
            if entry.fault:
                raise Damaged(entry.fault)
            if entry.old:
                item = self._agreement.by_all(lambda: read_old_item(place, abstract))
                self._say(
                    f"{place}: an earlier version wrote it; it cannot be verified"
                )
            else:
                item = self._read(step, {REGRESSOR: abstract})[0][REGRESSOR]
        except Damaged as damage:
            raise UserError(
                f"{place}: the checkpoint is damaged ({damage}); rename this folder to "
                "take another one"
            ) from damage
        return from_item(item, dict(like))

    def _open(self) -> dict[str, dict[str, Any]]:
        """For the first process: what is there, without what is damaged if it may."""
        if not self._read_only:
            folders.clean(self._folder)
        entries = folders.scan(self._folder)
        if not self._read_only:
            for step in [step for step, entry in entries.items() if entry.fault]:
                self._rename(step, entries.pop(step).fault)
            if not entries and folders.has_checkpoint(self._folder):
                raise UserError(f"{self._folder}: every checkpoint is damaged; {_ANEW}")
        return {str(step): asdict(entry) for step, entry in entries.items()}

    def _read(self, step: int, abstract: dict[str, dict[str, Any]]) -> Any:
        if self._entries[step].old:
            raise UserError(
                f"{self._folder / str(step)}: an earlier version wrote it, whose runs "
                "cannot be continued; start a new one from its weights with "
                f"--config.training.start_from={self._folder.parent}"
            )
        if self._entries[step].fault:
            raise Damaged(self._entries[step].fault)
        return read_checkpoint(self._folder / str(step), abstract, self._agreement)

    def _put_aside(self, step: int, why: str) -> None:
        del self._entries[step]
        self._agreement.by_first(lambda: self._rename(step, why))

    def _rename(self, step: int, why: str) -> None:
        place = self._folder / str(step)
        if self._read_only:
            raise UserError(f"{place}: the checkpoint is damaged ({why})")
        aside = folders.set_aside(self._folder, step)
        print(f"{place}: damaged ({why}); kept as {aside.name}", file=sys.stderr)

    def _say(self, line: str) -> None:
        if self._agreement.is_first:
            print(line, file=sys.stderr)

    def _best_with(
        self, step: int, score: float | None
    ) -> tuple[int | None, float | None]:
        """Step and score of the best so far, this one among them."""
        known = {e.best_step: e.best_score for e in self._entries.values()}
        scores = {s: v for s, v in known.items() if s is not None} | {step: score}
        ranked = by_score(scores)
        return (ranked[0], scores[ranked[0]]) if ranked else (None, None)

    def _write(self, draft: Draft) -> None:
        """In the background: writes, then deletes what the policy does not keep."""
        write_checkpoint(self._folder, draft, self._writers)
        entry = Entry(draft.score, draft.best_step, draft.best_score)
        entries = {**self._entries, draft.step: entry}
        kept = self._retention.kept({step: e.score for step, e in entries.items()})
        self._writers.by_first(
            lambda: folders.delete(self._folder, entries.keys() - kept)
        )
        self._entries = {step: e for step, e in entries.items() if step in kept}


def _restored(state: TrainState, record: Record) -> Restored:
    return Restored(
        state,
        data=record.data,
        step=record.step,
        score=record.score,
        best_step=record.best_step,
        best_score=record.best_score,
        processes=record.processes,
        devices=record.devices,
    )
