"""Chat templates of model folders: found, and tried in a process of its own before they are trusted.

A template is a program, in a language without access to the machine, but with loops: one that never ends, or
that fills the memory, would take the whole server with it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ragwright.core.errors import ModelError
from ragwright.core.model_folder import read_json
from ragwright.core.types import Message

_MOST_BYTES = 1 << 20
_WALL_SECONDS = 60.0  # a busy machine may take some to start the process
_CPU_SECONDS = 3
_MEMORY_BYTES = 1 << 30
_MOST_PROMPT = 1_000_000  # characters that a template may make of a few words
_TRIAL = [
    Message("system", "Answer from the documents."),
    Message("user", "What is it?"),
    Message("assistant", "It is a question."),
    Message("user", "And this?"),
]
_FINE, _WRONG, _EXCESSIVE = 0, 3, 4


def chat_template(folder: Path) -> str | None:
    """The template of a model folder, tried; None where it has none.

    Raises:
        ModelError: It cannot be read, is no template, or does not end with a prompt of a sensible length.
    """
    template = _read(folder)
    if template is None:
        return None
    if len(template.encode()) > _MOST_BYTES:
        raise ModelError(f"the chat template in {folder} is larger than 1 MB; get the model again")
    outcome = _tried(template)
    if outcome == _WRONG:
        raise ModelError(f"the chat template in {folder} is not valid; get the model again")
    if outcome != _FINE:
        raise ModelError(
            f"the chat template in {folder} does not end, or makes too much of a few words; use another model"
        )
    return template


def _read(folder: Path) -> str | None:
    try:
        if (folder / "chat_template.jinja").is_file():
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except ValueError:
        raise ModelError(f"{folder / 'chat_template.jinja'} is no UTF-8; get the model again") from None
    found = read_json(folder / "tokenizer_config.json", {}).get("chat_template")
    if isinstance(found, list):  # several, by name
        found = next((each.get("template") for each in found if each.get("name") == "default"), None)
    return found if isinstance(found, str) and found.strip() else None


@lru_cache(maxsize=8)
def _tried(template: str) -> int:
    """How a process ends that renders a template under limits."""
    # -P: what lies in the folder it is started in is not imported
    command = [sys.executable, "-P", "-m", "ragwright.generation.chat_template"]
    try:
        return subprocess.run(
            command,
            input=template.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_WALL_SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return _EXCESSIVE


def _render(template: str) -> int:
    """Render a template in this process, under limits from now on."""
    from jinja2 import TemplateError, TemplateSyntaxError
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit_this_process()
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    options = {"chat_template": template, "add_generation_prompt": True, **tokens}
    try:
        [prompt], _ = render_jinja_template([as_dicts(_TRIAL)], **options)
    except TemplateSyntaxError:
        return _WRONG
    except TemplateError:  # it may not know a system's message; whoever uses it finds another form
        return _FINE
    except (MemoryError, OverflowError, RecursionError):
        return _EXCESSIVE
    return _FINE if len(prompt) <= _MOST_PROMPT else _EXCESSIVE


def _limit_this_process() -> None:
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(usage.ru_utime + usage.ru_stime) + _CPU_SECONDS
    with suppress(OSError, ValueError):  # a limit that is lower already stays
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        memory = pages * resource.getpagesize() + _MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def as_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as templates read them."""
    return [{"role": each.role, "content": each.text} for each in messages]


def without_system(messages: Sequence[Message]) -> list[Message]:
    """The same for a template that knows no system: what it says stands before the first user's message."""
    said = "\n\n".join(each.text for each in messages if each.role == "system")
    others = [each for each in messages if each.role != "system"]
    for place, each in enumerate(others):
        if each.role == "user":
            others[place] = Message("user", f"{said}\n\n{each.text}" if said else each.text)
            return others
    return [Message("user", said), *others]


def plain_prompt(messages: Sequence[Message]) -> str:
    """The prompt of a model without a template: every message under its role's name.

    >>> print(plain_prompt([Message("system", "Be short."), Message("user", "Why?")]))
    System: Be short.
    <BLANKLINE>
    User: Why?
    <BLANKLINE>
    Assistant:
    """
    return "".join(f"{each.role.capitalize()}: {each.text}\n\n" for each in messages) + "Assistant:"


if __name__ == "__main__":
    sys.exit(_render(sys.stdin.buffer.read().decode()))
