"""What is imported before the first test runs."""

from __future__ import annotations

from pathlib import Path


class OnlyExamples:
    """A plugin: beside the tests only modules with an example are imported, to look for it.

    All the others would import every library of the project, in every worker, whatever it is given to do.
    """

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Whether a file is passed over; None leaves it to others."""
        if collection_path.suffix != ".py" or collection_path.name.startswith("test_"):
            return None
        return True if ">>>" not in collection_path.read_text(encoding="utf-8") else None
