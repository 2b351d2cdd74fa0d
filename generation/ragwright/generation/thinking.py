"""Thoughts of reasoning models, which are no part of their answers."""

from __future__ import annotations


class WithoutThinking:
    """Leaves out what a reasoning model thinks aloud before its answer, between `<think>` and `</think>`."""

    _OPENING, _CLOSING = "<think>", "</think>"

    def __init__(self) -> None:
        self._buffer = ""
        self._state = "start"  # then perhaps "thinking", then "answer"

    def feed(self, text: str) -> str:
        """What belongs to the answer in the next piece of text, or in pieces held back before."""
        if self._state == "answer":
            return text
        self._buffer += text
        if self._state == "start":
            self._start()
        if self._state == "thinking":
            self._think()
        return self.finish() if self._state == "answer" else ""

    def finish(self) -> str:
        """What was held back; nothing of a thought that has no end."""
        held, self._buffer = self._buffer, ""
        return "" if self._state == "thinking" else held

    def _start(self) -> None:
        text = self._buffer.lstrip()
        if text.startswith(self._OPENING):
            self._state, self._buffer = "thinking", text
        elif not self._OPENING.startswith(text):
            self._state = "answer"

    def _think(self) -> None:
        _, end, answer = self._buffer.partition(self._CLOSING)
        if end:
            self._state, self._buffer = "answer", answer
        else:
            self._buffer = self._buffer[1 - len(self._CLOSING) :]
