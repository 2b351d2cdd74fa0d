"""A language model that judges by rule, behind the chat completions of OpenAI's API.

It reads ragas' prompts as a model does: what is asked for stands in the JSON schema, the case in the last
block. A sentence is supported where the context holds it character by character; a context is useful where it
holds the reference answer.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ScriptedJudge:
    """What it answers, and what it was asked.

    Attributes:
        question: What it makes of every answer.
        noncommittal: Whether it calls every answer evasive.
        fault: From a prompt to a way of failing: `500`, `400`, `slow`, `garbage`, `prose`, `cut`, `fewer`,
            `seven`; None answers properly.
        refuses: Request fields answered with HTTP 400, as servers do that do not know them.
        dressed: Whether replies come with thoughts and a code fence around the JSON.
        requests: Bodies of all requests, in the order of arrival.
        url: Root of the API.
    """

    question: str = "What is it?"
    noncommittal: bool = False
    fault: Callable[[str], str | None] = lambda prompt: None
    refuses: frozenset[str] = frozenset()
    dressed: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def reply(self, prompt: str) -> dict[str, Any]:
        """The object that a prompt asks for."""
        kind = next(name for name in re.findall(r'"title": "(\w+)"', prompt) if name.endswith("Output"))
        return getattr(self, "_" + kind)(_case(prompt))  # type: ignore[no-any-return]

    def _StatementGeneratorOutput(self, case: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"statements": _sentences(case["answer"])}

    def _ClaimDecompositionOutput(self, case: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"claims": _sentences(case["response"])}

    def _NLIStatementOutput(self, case: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        verdicts = [
            {"statement": each, "reason": "", "verdict": int(each in case["context"])}
            for each in case["statements"]
        ]
        return {"statements": verdicts}

    def _ContextRecallOutput(self, case: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        verdicts = [
            {"statement": each, "reason": "", "attributed": int(each in case["context"])}
            for each in _sentences(case["answer"])
        ]
        return {"classifications": verdicts}

    def _ContextPrecisionOutput(self, case: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"reason": "", "verdict": int(case["answer"] in case["context"])}

    def _AnswerRelevanceOutput(self, case: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"question": self.question, "noncommittal": int(self.noncommittal)}


def _case(prompt: str) -> dict[str, Any]:
    """The input at the end of a prompt."""
    found: dict[str, Any] = json.loads(prompt.rpartition("\ninput: ")[2].rpartition("\nOutput:")[0])
    return found


def _sentences(text: str) -> list[str]:
    return re.findall(r"[^.]+\.", text.replace(". ", "."))


class _Handler(BaseHTTPRequestHandler):
    judge: ScriptedJudge

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.judge.requests.append({**request, "path": self.path, "key": self.headers["Authorization"]})
        prompt = request["messages"][0]["content"]
        fault = "400" if self.judge.refuses & request.keys() else self.judge.fault(prompt)
        if fault in ("400", "500"):
            return self._send(int(fault), json.dumps({"error": {"message": "no such luck"}}))
        if fault == "slow":
            self.judge.closing.wait(5)
            return None
        if fault == "garbage":
            return self._send(200, "<html>busy</html>")
        return self._send(200, json.dumps(self._completion(prompt, fault)))

    def _completion(self, prompt: str, fault: str | None) -> dict[str, Any]:
        reply = self.judge.reply(prompt)
        if fault == "fewer" and "statements" in reply and isinstance(reply["statements"][0], dict):
            reply["statements"].pop()
        content = json.dumps(reply)
        if fault == "seven":
            content = re.sub(r'"(verdict|attributed)": \d', r'"\1": 7', content)
        if self.judge.dressed:
            content = f'<think>Maybe {{"a": 1}}?</think>Here it is:\n```json\n{content}\n```'
        if fault == "prose":
            content = "It is supported, I am quite sure."
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": content},
            "finish_reason": "length" if fault == "cut" else "stop",
        }
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "scripted",
            "choices": [choice],
        }

    def _send(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that waits no longer is no error here."""


@contextmanager
def serving(judge: ScriptedJudge) -> Iterator[ScriptedJudge]:
    """The judge behind a local address for a while."""
    handler = type("Handler", (_Handler,), {"judge": judge})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    judge.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield judge
    finally:
        judge.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
