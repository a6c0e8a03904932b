"""Which examples every step of a run is about, known without reading any."""

from collections.abc import Mapping, Sequence
from typing import Any

from dsr_jax.data import CropDataset, Dataset, ExampleOrder
from dsr_jax.errors import UserError
from dsr_jax.training.data_source import dataset_names, example_order
from dsr_jax.training.settings import SYNTHETIC, RunSettings


class ExampleBook:
    """Step → its place in the stream of examples, and their names."""

    def __init__(self, settings: RunSettings, datasets: Sequence[Dataset] = ()):
        """Reads nothing.

        Args:
          settings: of the run.
          datasets: what `open_datasets` returns, if the examples come from files.
        """
        self._batch_size = settings.training.batch_size
        self._seed = settings.training.seed
        self._datasets, self._names = tuple(datasets), dataset_names(settings)
        self._order: ExampleOrder | None = None
        if settings.data.source != SYNTHETIC:
            self._order = example_order(settings, datasets)
        elif settings.data.pool:
            self._order = example_order(settings, [range(settings.data.pool)])

    def state(self, step: int) -> dict[str, Any]:
        """What a checkpoint notes of the stream after `step` steps, for JSON."""
        position = step * self._batch_size
        if self._order is not None:
            return self._order.state(position)
        return {"position": position, "seed": self._seed, "datasets": []}

    def check(self, state: Mapping[str, Any], step: int) -> None:
        """Refuses to go on in another stream, or at another place of it.

        Args:
          state: as it was noted; empty if nothing was (a converted checkpoint).
          step: finished steps of the run that goes on.

        Raises:
          UserError: the first thing that differs.
        """
        if not state:
            return
        here = self.state(step)
        if self._order is not None:
            self._order.position_of(dict(state))
        for key in ("position", "seed"):
            if state.get(key) != here[key]:
                raise UserError(
                    f"state of the data: its {key} is {state.get(key)} after {step} "
                    f"steps, and this run's would be {here[key]}; give the config of "
                    "the run"
                )

    def names(self, step: int) -> list[str]:
        """The examples of step number `step` (from 1), in the order of the batch."""
        start = (step - 1) * self._batch_size
        if self._order is None:
            rows = range(self._batch_size)
            return [f"synthetic person {row} of step {step}" for row in rows]
        positions = range(start, start + self._batch_size)
        return [self._name(self._order, position) for position in positions]

    def _name(self, order: ExampleOrder, position: int) -> str:
        draw = order.draw(position)
        if not self._datasets:
            return f"synthetic person {draw.index}"
        dataset = self._datasets[draw.dataset]
        person = f"person {draw.index}"
        if isinstance(dataset, CropDataset):
            person = dataset.person(draw.index).name
        return f"{self._names[draw.dataset]}: {person}"
