"""The errors a user can mend. Each message says what was seen, what was wanted, and what to do.

    RagwrightError
    ├── ConfigError      a setting is unknown, of the wrong type or out of range
    ├── InputError       a path, a query or a file that cannot be used
    ├── MissingExtra     an optional package is not installed
    ├── ServiceError     a service did not answer, or answered with an error
    ├── ModelError       model files are absent, damaged or of an unsupported kind
    ├── IndexDamaged     the index is broken, or was made by another model or version
    └── WorkspaceBusy    another process holds the workspace

The command line turns them into exit code 1 and one sentence; everything else is a bug (exit code 3).
"""


class RagwrightError(Exception):
    """Something the user can mend."""


class ConfigError(RagwrightError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(RagwrightError):
    """A path, a query or a file that cannot be used."""


class MissingExtra(RagwrightError):  # noqa: N818 - the name says what to do
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; run in the checkout: "
            f".venv/bin/pip install --constraint constraints.txt '.[{extra}]'"
        )


class ServiceError(RagwrightError):
    """A service did not answer, or answered with an error."""


class ModelError(RagwrightError):
    """Model files are absent, damaged or of an unsupported kind."""


class IndexDamaged(RagwrightError):  # noqa: N818 - a state, not an event
    """The index is broken, or was made by another model or version."""


class WorkspaceBusy(RagwrightError):  # noqa: N818 - a state, not an event
    """Another process holds the workspace."""
