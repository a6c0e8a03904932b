"""What the processes of a job agree on without their devices: who failed, and which.

Every process must take part in every exchange. Messages go through the coordination
service that `jax.distributed.initialize` starts, so that a thread in the background may
exchange some while the devices are busy with a step.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
from jax._src import distributed  # no public way to the coordination service

from dsr_jax.errors import EnvironmentFault, UserError
from dsr_jax.hosts.shared_failure import first_failure, words_of

TIMEOUT_SECONDS = 600
_instances = itertools.count()

Result = TypeVar("Result")


class Agreement:
    """Exchanges of one thread; made by all processes in the same order.

    Args:
      purpose: what error lines begin with.
      kinds: exceptions beside `UserError` that keep their type in other processes.
    """

    def __init__(self, purpose: str, kinds: Sequence[type[Exception]] = ()):
        self._purpose = purpose
        self._kinds = kinds
        self._prefix = f"dsr_jax/{purpose}/{next(_instances)}"
        self._number = 0

    @property
    def is_first(self) -> bool:
        """Whether this process does what only one may do."""
        return jax.process_index() == 0

    def by_first(self, action: Callable[[], Any]) -> Any:
        """What `action` returned in the first process, given to all; JSON-able.

        Raises:
          UserError, or one of `kinds`: as it was raised there.
        """
        return self._exchange(action if self.is_first else lambda: None)[0]

    def by_all(self, action: Callable[[], Result]) -> Result:
        """What `action` returned here, if it succeeded in every process.

        Raises:
          UserError, or one of `kinds`: as it was raised here or in another process.
        """
        results: list[Result] = []
        self._exchange(lambda: results.append(action()))
        return results[0]

    def values_of_all(self, action: Callable[[], Any]) -> list[Any]:
        """What `action` returned in every process, JSON-able; raises as `by_all`."""
        return self._exchange(action)

    def _exchange(self, action: Callable[[], Any]) -> list[Any]:
        value, failure = None, None
        try:
            value = action()
        except Exception as error:
            failure = error
        message = json.dumps([value, words_of(failure, self._kinds)])
        answers = [json.loads(answer) for answer in self._gather(message)]
        if failure is not None:
            raise failure
        raised = first_failure([words for _, words in answers], self._kinds)
        if raised is not None:
            raise raised
        return [value for value, _ in answers]

    def _gather(self, message: str) -> list[str]:
        count, own = jax.process_count(), jax.process_index()
        if count == 1:
            return [message]
        client = distributed.global_state.client
        if client is None:
            raise UserError(
                f"{count} processes without a coordination service: call "
                "jax.distributed.initialize() first"
            )
        self._number += 1
        key = f"{self._prefix}/{self._number}"
        client.key_value_set(f"{key}/{own}", message)
        answers = [self._answer(client, f"{key}/{k}", k) for k in range(count)]
        # Who has sent this message has read the previous ones, and so has everybody.
        if self._number > 1:
            client.key_value_delete(f"{self._prefix}/{self._number - 1}/{own}")
        return answers

    def _answer(self, client: Any, key: str, process: int) -> str:
        try:
            return client.blocking_key_value_get(key, TIMEOUT_SECONDS * 1000)
        except Exception as error:
            raise EnvironmentFault(
                f"{self._purpose}: process {process} gave no answer within "
                f"{TIMEOUT_SECONDS} s; look at its output, and start all processes anew"
            ) from error
