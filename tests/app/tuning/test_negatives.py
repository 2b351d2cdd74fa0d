"""What has to be there before examples are made and adapters trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Run = Callable[..., Result]


def test_without_questions_the_command_to_make_them_is_named(project: Path, run: Run) -> None:
    done = run("tune", "negatives")
    assert done.exit_code == 1 and "run: ragwright tune questions" in done.output
    done = run("tune", "adapter")
    assert done.exit_code == 1 and "ragwright tune negatives" in done.output
