"""Arrays of a checkpoint to disk and back, by Orbax; every process moves its own part.

The handler is used without Orbax's managers: those keep books of their own, which
stumble over damaged files, and wait for one another with the devices' collectives,
which would get in between those of the steps.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from dsr_jax.training.checkpoint.damage import Damaged
from dsr_jax.training.checkpoint.items import Item
from dsr_jax.training.checkpoint.quiet import quiet_orbax


def write_item(folder: Path, item: Item) -> None:
    """This process's part of an item into an existing folder; returns when written."""
    handler = _writing_handler()
    handler.save(epath.Path(folder), args=ocp.args.PyTreeSave(item))
    handler.close()


def finish_item(folder: Path) -> None:
    """Joins the parts that the processes wrote; for one process, after all of them."""
    handler = _handler()
    handler.finalize(epath.Path(folder))
    handler.close()


def read_item(folder: Path, abstract: Mapping[str, Any]) -> Item:
    """The arrays of an item, placed as `abstract` says.

    Raises:
      Damaged: Orbax cannot read it.
    """
    handler = _handler()
    try:
        return handler.restore(
            epath.Path(folder), args=ocp.args.StandardRestore(dict(abstract))
        )
    except (MemoryError, jax.errors.JaxRuntimeError):
        raise
    # Orbax and tensorstore raise ValueError, KeyError, OSError, TypeError, … for one
    # cause, a file that is cut or changed or gone.
    except Exception as error:
        raise Damaged(f"{type(error).__name__} in '{folder.name}'") from error
    finally:
        handler.close()


def item_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Path → shape, from Orbax's own notes.

    Raises:
      Damaged: Orbax cannot read them.
    """
    handler = _handler()
    try:
        tree = handler.metadata(epath.Path(folder)).tree
        return {path: tuple(array.shape) for path, array in tree.items()}
    except Exception as error:
        raise Damaged(f"{type(error).__name__} in '{folder.name}'") from error
    finally:
        handler.close()


def _writing_handler() -> ocp.PyTreeCheckpointHandler:
    """One that starts no program on the devices.

    Orbax lets every replica of an array write a slice of it, which it cuts out on the
    device, in the thread that saves. A program that one thread starts between the parts
    of a step that another thread starts on several devices can halt both: each waits
    for its turn behind the other, and all hosts wait for the step.
    """
    quiet_orbax()
    whole = ocp.type_handlers.ArrayHandler(use_replica_parallel=False)
    registry = ocp.type_handlers.create_type_handler_registry((jax.Array, whole))
    return ocp.PyTreeCheckpointHandler(type_handler_registry=registry)


def _handler() -> ocp.StandardCheckpointHandler:
    quiet_orbax()
    return ocp.StandardCheckpointHandler()
