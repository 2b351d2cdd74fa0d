"""Several cards: one process each, behind the call of one.

A process is reached over two pipes, so that one piece of work is computed while the next is read. Whoever
calls waits for all pieces of its own; pieces of several callers take turns.
"""

from __future__ import annotations

import multiprocessing
import signal
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from ragwright.core.errors import ModelError
from ragwright.retrieval.batches import Ints, ModelInput, Receive
from ragwright.retrieval.forward import Compute, Forward
from ragwright.retrieval.model import ModelFolder

_LANES = 2

# Four full batches: larger pieces would leave a card idle at the end, smaller ones cost more than they share.
_PIECE_TOKENS = 524_288
_LEAST_TOKENS = 8_192


@dataclass(frozen=True, slots=True)
class _Piece:
    """Inputs in few arrays, which is quick to send.

    Attributes:
        rows: Which inputs these are, as indices into the caller's list; shape (b,).
        ids: Token ids of all, shape (tokens,).
        types: Token types of all.
        lengths: Tokens of each, shape (b,).
        ranges: Ranges of all, shape (r, 2).
        counts: How many ranges each has, shape (b,).
        attended: How many tokens of each are seen, shape (b,); -1: all.
    """

    rows: Ints
    ids: Ints
    types: Ints
    lengths: Ints
    ranges: Ints
    counts: Ints
    attended: Ints

    @classmethod
    def of(cls, inputs: Sequence[ModelInput], rows: Ints) -> _Piece:
        chosen = [inputs[row] for row in rows]
        return cls(
            rows=rows,
            ids=np.concatenate([each.ids for each in chosen]),
            types=np.concatenate([_types(each) for each in chosen]),
            lengths=np.array([len(each.ids) for each in chosen]),
            ranges=np.concatenate([each.ranges for each in chosen]),
            counts=np.array([len(each.ranges) for each in chosen]),
            attended=np.array([-1 if each.attended is None else each.attended for each in chosen]),
        )

    def inputs(self) -> list[ModelInput]:
        ids, types = (np.split(each, np.cumsum(self.lengths)[:-1]) for each in (self.ids, self.types))
        ranges = np.split(self.ranges, np.cumsum(self.counts)[:-1])
        attended = [None if count < 0 else int(count) for count in self.attended]
        return [ModelInput(*each) for each in zip(ids, ranges, types, attended, strict=True)]


def _types(each: ModelInput) -> Ints:
    return np.zeros(len(each.ids), np.int64) if each.types is None else each.types


_Work = tuple[_Piece, "Future[tuple[_Piece, NDArray[np.float32]]]"]


class CardsForward:
    """Shares inputs out to one process per card; for any number of threads."""

    def __init__(
        self, model: ModelFolder, compute: Compute, *, devices: Sequence[str], head: bool = False
    ) -> None:
        """Start the processes; each loads the model, and ends with this one.

        Args:
            model: The model folder.
            compute: How it is run.
            devices: Names of the devices.
            head: Whether the model scores sequences with a head.
        """
        self._head = head
        self._crew = _Crew(model, compute, devices, head=head)
        self._end = weakref.finalize(self, self._crew.end)

    def run(self, inputs: Sequence[ModelInput], receive: Receive) -> None:
        """See `Forward.run`; the receiver is called in the caller's thread.

        Raises:
            ModelError: The model cannot be loaded, or a process died.
        """
        futures = [self._crew.submit(_Piece.of(inputs, rows)) for rows in _deal(inputs, self._crew.size)]
        for done in as_completed(futures):
            piece, found = done.result()
            edges = None if self._head else np.cumsum(piece.counts)[:-1]
            results = found if edges is None else np.split(found, edges)
            for row, result in zip(piece.rows, results, strict=True):
                receive(int(row), result)

    def close(self) -> None:
        """End the processes."""
        self._end()


class _Crew:
    """The processes, and the threads that feed them from one queue.

    Attributes:
        size: How many processes.
        processes: The processes.
    """

    def __init__(self, model: ModelFolder, compute: Compute, devices: Sequence[str], *, head: bool) -> None:
        self.size = len(devices)
        self.processes: list[BaseProcess] = []
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._failure: ModelError | None = None
        self._lock = Lock()
        # layers behind the pooling are the caller's, and need not travel
        plain = replace(model, projections=())
        for device in devices:
            process, pipes = _start(plain, compute, device, head=head)
            self.processes.append(process)
            for pipe in pipes:
                Thread(target=self._serve, args=(pipe, process, device), daemon=True).start()

    def submit(self, piece: _Piece) -> Future[tuple[_Piece, NDArray[np.float32]]]:
        """Have a piece computed by whoever is free."""
        future: Future[tuple[_Piece, NDArray[np.float32]]] = Future()
        with self._lock:
            if self._failure is None:
                self._work.put((piece, future))
            else:
                future.set_exception(self._failure)
        return future

    def end(self) -> None:
        """End processes and threads."""
        with self._lock:  # behind this nothing comes into the queue
            self._failure = self._failure or ModelError("the model was closed; load it again")
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join()
            for _ in range(_LANES):
                self._work.put(None)

    def _serve(self, pipe: Connection, process: BaseProcess, device: str) -> None:
        """Send pieces and take results; once a process died, every piece gets that as its error."""
        while (work := self._work.get()) is not None:
            piece, future = work
            try:
                found = self._failure or _asked(pipe, process, device, piece)
            except BaseException as error:  # noqa: BLE001 - raised in the caller, who waits
                found = _DeadError(f"what {device} computed could not be taken over: {error!r}")
            if isinstance(found, _DeadError):
                self._failure = found
            if isinstance(found, ModelError):
                future.set_exception(found)
            else:
                future.set_result((piece, found))


class _DeadError(ModelError):
    """A process is gone."""


def _asked(
    pipe: Connection, process: BaseProcess, device: str, piece: _Piece
) -> NDArray[np.float32] | ModelError:
    """What a process answers."""
    try:
        pipe.send(piece)
        found: NDArray[np.float32] | ModelError = pipe.recv()
    except (EOFError, OSError):
        process.terminate()  # one of its threads may have failed alone
        process.join()
        return _DeadError(
            f"the process that computes on {device} died (exit code {process.exitcode}); what it wrote "
            "before says why; start again, with a smaller encoder.batch_tokens if memory ran out"
        )
    return found


def _deal(inputs: Sequence[ModelInput], cards: int) -> list[Ints]:
    """Neighbouring inputs in pieces of about equal tokens, at least one for each card where that pays."""
    ends = np.cumsum([len(each.ids) for each in inputs])
    if not len(ends):
        return []
    tokens = min(_PIECE_TOKENS, max(_LEAST_TOKENS, -(-int(ends[-1]) // cards)))
    groups = (ends - 1) // tokens
    return np.split(np.arange(len(ends)), np.flatnonzero(np.diff(groups)) + 1)


def _start(
    model: ModelFolder, compute: Compute, device: str, *, head: bool
) -> tuple[BaseProcess, list[Connection]]:
    # a fork would inherit the state of CUDA and of threads
    context = multiprocessing.get_context("spawn")
    ours, theirs = zip(*(context.Pipe() for _ in range(_LANES)), strict=True)
    process = context.Process(
        target=_compute, args=(model, compute, device, head, theirs), name=f"ragwright {device}", daemon=True
    )
    process.start()
    for pipe in theirs:  # so that the death of the process ends the pipe
        pipe.close()
    return process, list(ours)


def _compute(
    model: ModelFolder, compute: Compute, device: str, head: bool, pipes: Sequence[Connection]
) -> None:
    """The work of one process: answer until the other end is closed."""
    from ragwright.retrieval.torch_model import TorchForward

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C ends
    forward: TorchForward | ModelError
    try:
        forward = TorchForward(model, compute, head=head, device=device)
    except ModelError as error:
        forward = error
    threads = [Thread(target=_answer, args=(pipe, forward)) for pipe in pipes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answer(pipe: Connection, forward: Forward | ModelError) -> None:
    """Answer pieces; an error that is no `ModelError` closes the pipe, which the parent notices."""
    with pipe, suppress(EOFError, BrokenPipeError):
        while True:
            piece = pipe.recv()
            pipe.send(forward if isinstance(forward, ModelError) else _answered(forward, piece))


def _answered(forward: Forward, piece: _Piece) -> NDArray[np.float32] | ModelError:
    results: dict[int, NDArray[np.float32]] = {}

    def receive(place: int, found: NDArray[np.float32]) -> None:
        results[place] = found.reshape(-1, found.shape[-1]).copy()

    try:
        forward.run(piece.inputs(), receive)
    except ModelError as error:
        return error
    return np.concatenate([results[place] for place in range(len(piece.rows))])
