"""Promotions and rollbacks of a running server: one at a time for each collection, in a thread of its own."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ragwright.app.serve.errors import HttpError
from ragwright.app.tuning.comparing import Witness
from ragwright.core.errors import RagwrightError, ServiceError

if TYPE_CHECKING:
    from ragwright.app.serve.collections import Collection
    from ragwright.app.workspace import Workspace

Action = Literal["promote", "rollback"]
Outcome = Literal["promoted", "refused", "rolled back"]

_LOGGER = logging.getLogger("ragwright.serve")
_KEPT = 100  # jobs that have ended


@dataclass(slots=True)
class PromotionJob:
    """A promotion or a rollback on its way; what changes is changed by the thread that does it.

    Attributes:
        collection: Where.
        action: What.
        name: Of the tuned model; of a rollback "" until it is known.
        id: 32 hex digits.
        state: Where it stands.
        stage: What is being done.
        done: Steps of the stage that are done.
        total: Steps of the stage; 0: nobody knows.
        outcome: What became of it; None until it ends, and where it failed.
        sentences: What the exam said.
        version: Index version that answers since it ended.
        reason: Why it failed.
        created: When it came, seconds since 1970.
        ended: When it ended; None until then.
    """

    collection: str
    action: Action
    name: str
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    state: Literal["running", "done", "failed"] = "running"
    stage: str = "beginning"
    done: int = 0
    total: int = 0
    outcome: Outcome | None = None
    sentences: Sequence[str] = ()
    version: str | None = None
    reason: str | None = None
    created: float = field(default_factory=time.time)
    ended: float | None = None

    def record(self) -> dict[str, Any]:
        """The job as JSON."""
        names = (each for each in self.__dataclass_fields__ if each != "sentences")
        facts = {name: getattr(self, name) for name in names}
        return {"object": "tune.job", **facts, "sentences": list(self.sentences)}


class PromotionJobs:
    """The promotions and rollbacks since the server began; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, PromotionJob] = OrderedDict()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def promote(self, collection: Collection, name: str, *, skip_outside: bool = False) -> PromotionJob:
        """Begin to promote a tuned model.

        Args:
            collection: Where.
            name: Of the tuned model.
            skip_outside: Whether nothing is asked of another domain.

        Raises:
            HttpError: 409 while another one is on its way in this collection, 503 while the server ends.
        """
        from ragwright.app.tuning.exam import Wanted
        from ragwright.app.tuning.promotion import promote

        def work(workspace: Workspace, job: PromotionJob, witness: Witness) -> None:
            done = promote(workspace, name, wanted=Wanted(skip_outside=skip_outside), witness=witness)
            job.sentences, job.version = done.examined.sentences(), done.version
            job.outcome = "promoted" if done.accepted else "refused"

        return self._begin(collection, PromotionJob(collection.name, "promote", name), work)

    def roll_back(self, collection: Collection) -> PromotionJob:
        """Begin to take the last promotion back; raises as `promote`."""
        from ragwright.app.tuning.promotion import roll_back

        def work(workspace: Workspace, job: PromotionJob, witness: Witness) -> None:
            done = roll_back(workspace, witness=witness)
            job.name, job.version, job.outcome = done.name, done.version, "rolled back"

        return self._begin(collection, PromotionJob(collection.name, "rollback", ""), work)

    def get(self, job_id: str) -> PromotionJob | None:
        """The job; None where there is none."""
        with self._lock:
            return self._jobs.get(job_id)

    def all(self) -> list[PromotionJob]:
        """Every job that is remembered, the newest first."""
        with self._lock:
            return [*reversed(self._jobs.values())]

    def close(self, *, seconds: float) -> None:
        """Break off what runs, at its next step, and wait for that; what answers goes on as it was."""
        with self._lock:
            self._closed, threads = True, list(self._threads)
        until = time.monotonic() + seconds
        for each in threads:
            each.join(max(0.0, until - time.monotonic()))

    def _begin(
        self,
        collection: Collection,
        job: PromotionJob,
        work: Callable[[Workspace, PromotionJob, Witness], None],
    ) -> PromotionJob:
        with self._lock:
            if self._closed:
                raise HttpError(503, "the server ends; ask again in a moment", code="shutting_down")
            if any(each.ended is None and each.collection == job.collection for each in self._jobs.values()):
                told = "another promotion is on its way in this collection; wait until it has ended"
                raise HttpError(409, told, code="promotion_running")
            self._jobs[job.id] = job
            while len(self._jobs) > _KEPT and next(iter(self._jobs.values())).ended is not None:
                self._jobs.popitem(last=False)
            patient = collection.workspace.patiently()
            thread = threading.Thread(
                target=self._work, args=(patient, job, work), name="promotion", daemon=True
            )
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()
        return job

    def _work(
        self,
        workspace: Workspace,
        job: PromotionJob,
        work: Callable[[Workspace, PromotionJob, Witness], None],
    ) -> None:
        try:
            work(workspace, job, Witness(self._begins(job), self._does(job)))
            job.state = "done"
        except Exception as error:  # noqa: BLE001 - the door of this thread
            _LOGGER.error("%s %s: %s: %s", job.action, job.name, type(error).__name__, error)
            known = isinstance(error, RagwrightError)
            job.reason = str(error) if known else "an error of the server; its log says more"
            job.state = "failed"
        job.stage, job.ended = "ended", time.time()

    def _begins(self, job: PromotionJob) -> Callable[[str, int], None]:
        def begin(stage: str, steps: int) -> None:
            self._go_on()
            job.stage, job.done, job.total = stage, 0, steps

        return begin

    def _does(self, job: PromotionJob) -> Callable[[], None]:
        def done() -> None:
            self._go_on()
            job.done += 1

        return done

    def _go_on(self) -> None:
        """Break off where the server ends.

        Raises:
            ServiceError: It does.
        """
        if self._closed:
            raise ServiceError("the server ended before this did; what answered goes on answering")
