"""The whole API under generated requests, right and wrong ones: it answers as declared, and never fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.app.serve.serving import Served, serving

from ragwright.core.config import Config

EXAMPLES = 2  # of each operation, right and wrong ones
PATIENT = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def locked(new_config: Callable[[], Config]) -> Iterator[tuple[Served, dict[str, str]]]:
    """A server, and the header of an admin's key, which may ask as often as it likes."""
    with serving(new_config(), requests_per_minute=1_000_000, upload_megabytes=1) as running:
        yield running, {"authorization": f"Bearer {running.key('admin', admin=True)}"}


def operations(served: Served, header: dict[str, str]) -> list[Any]:
    api: Any = schemathesis.openapi.from_url(f"{served.url}/openapi.json", headers=header)
    return [each.ok() for each in api.get_all_operations()]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_generated_requests_meet_what_is_declared(
    locked: tuple[Served, dict[str, str]], mode: GenerationMode
) -> None:
    served, header = locked
    every = operations(served, header)
    assert len(every) > 15
    if mode is GenerationMode.NEGATIVE:
        every = [each for each in every if list(each.body)]  # the others are tried by the slow test

    for operation in every:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=PATIENT,
            phases=[Phase.generate],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: Any) -> None:
            # A question without a letter fits the description, but cannot be answered.
            case.call_and_validate(headers=header, excluded_checks=[positive_data_acceptance])

        holds()


@pytest.mark.slow
def test_many_generated_requests_meet_what_is_declared(locked: tuple[Served, dict[str, str]]) -> None:
    """Every phase of schemathesis: examples, every boundary of what is declared, random data, sequences."""
    served, header = locked
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    options = [
        f"--max-examples={settings().max_examples}",
        "--generation-deterministic",
        "--warnings=off",
    ]
    # Some requests that fit the description say nothing that could be answered: see above.
    checks = ["--exclude-checks=positive_data_acceptance", "--suppress-health-check=all"]
    told = ["--header", f"authorization: {header['authorization']}"]
    done = subprocess.run([*command, *options, *checks, *told], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
