"""The system prompts: plain files, taken as they are. No character of them means anything to a program."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from ragwright.core.errors import ConfigError

Knowledge = Literal["context-only", "context-first", "open"]
"""What an answer may rest on: the documents; the documents, then memory; or both."""


def packaged(name: str) -> str:
    """The text of a template that comes with Ragwright."""
    return (files(__package__) / "templates" / f"{name}.txt").read_text("utf-8").strip()


def system_prompt(knowledge: Knowledge, template: Path | None = None) -> str:
    """The system prompt of answers.

    Args:
        knowledge: Chooses the packaged one, which is the file of that name and then `quoting.txt`.
        template: A file that is taken in its place, whole. It has to tell the model how to quote, and to
            refuse with the sentence `refusal.REFUSAL`: what is not cited is not shown.

    Raises:
        ConfigError: The file cannot be read, or holds nothing.
    """
    if template is None:
        return f"{packaged(knowledge)}\n\n{packaged('quoting')}"
    try:
        text = template.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"generator.template is {template}, which cannot be read ({error}); name a file of UTF-8 text"
        ) from error
    if not text:
        raise ConfigError(
            f"generator.template is {template}, which holds nothing; write a system prompt there"
        )
    return text
