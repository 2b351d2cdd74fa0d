"""Letting the configured language model judge what a run found and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragwright.core.errors import ConfigError
from ragwright.eval.values import Outcome

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.eval.judge import JudgeResult


def judged_by_model(workspace: Workspace, outcomes: Sequence[Outcome], *, cache: Path) -> JudgeResult:
    """Verdicts on outcomes; what was judged before is not asked again.

    Args:
        workspace: Whose settings name the model, and whose encoder compares questions.
        outcomes: What to judge.
        cache: Folder of the verdicts.

    Raises:
        ConfigError: No model is configured.
        MissingExtra: The extra `judge` is not installed.
    """
    from ragwright.eval.judge import JudgeSettings, judge

    settings = workspace.config.judge
    if settings.url is None or not settings.model:
        raise ConfigError("--judge needs judge.url and judge.model; set them in ragwright.toml or with --set")
    return judge(
        outcomes,
        settings=JudgeSettings(
            url=settings.url,
            model=settings.model,
            api_key=settings.api_key.get_secret_value() if settings.api_key else "",
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
            embed=workspace.encoder.encode_queries,
            encoder=workspace.encoder.fingerprint,
        ),
        cache=cache,
    )


def judge_facts(result: JudgeResult) -> dict[str, Any]:
    """What a manifest says of a judge: failed calls are listed, never averaged away."""
    facts = asdict(result)
    del facts["rows"]
    return facts
