"""How `make test` shares the files out among its workers."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling


class FromBothEnds(LoadFileScheduling):  # type: ignore[misc]
    """Whole files in the order in which they lie, for every second worker from the last one backwards.

    Files of one folder share libraries and fixtures that take seconds, once in each worker that needs them.
    """

    def _assign_work_unit(self, node: Any) -> None:
        if int(node.gateway.id.removeprefix("gw")) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
