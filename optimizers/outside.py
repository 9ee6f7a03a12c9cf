"""LM calls that a metric makes past the session, with an LM of its own: the budget does not see them."""

from typing import Any

from dspy.utils.callback import BaseCallback
from dspy.utils.callback_context import ACTIVE_CALL_ID

from synthwright.lms.metered import MeteredLM

__all__ = ["OutsideCalls"]


class OutsideCalls(BaseCallback):
    """Counts the calls of LMs that are not metered, nor asked by one that is.

    Attributes:
        count: Calls so far.
        models: Names of the models.
    """

    def __init__(self) -> None:
        self.count = 0
        self.models: set[str] = set()
        self._metered: set[str] = set()

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        if isinstance(instance, MeteredLM) or ACTIVE_CALL_ID.get() in self._metered:
            self._metered.add(call_id)  # what it asks in turn was counted with it
        else:
            self.count += 1
            self.models.add(str(instance.model))

    def on_lm_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        self._metered.discard(call_id)
