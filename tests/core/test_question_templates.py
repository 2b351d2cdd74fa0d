"""Question templates of profiles: checked where they are read, merged, and without influence on chunks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragwright.core.errors import ConfigError
from ragwright.core.profile import Profile, load_profile


def test_templates_add_up_kind_by_kind_the_childs_first(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text('extends = "general"\n[question_templates]\ndefinition = ["Explain {term}."]\n')
    ours, general = load_profile(str(path)), load_profile("general")
    assert ours.question_templates["definition"] == (
        "Explain {term}.",
        *general.question_templates["definition"],
    )
    assert ours.question_templates["table"] == general.question_templates["table"]
    assert ours.digest == general.digest


def test_a_profile_in_another_language_takes_over_no_templates(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(
        'extends = "general"\nlanguage = "de"\n[question_templates]\nterm = ["Was ist {term}?"]\n'
    )
    assert dict(load_profile(str(path)).question_templates) == {"term": ("Was ist {term}?",)}


@pytest.mark.parametrize(
    ("table", "seen"),
    [
        ('headings = ["x {heading}"]', "did you mean 'heading'"),
        ('heading = ["x {term}"]', "other fields"),
        ('heading = ["x {heading"]', "stray brace"),
        ('heading = "x"', "want a list of texts"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(tmp_path: Path, table: str, seen: str) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(f"[question_templates]\n{table}\n")
    with pytest.raises(ConfigError, match=seen):
        load_profile(str(path))


def test_templates_are_part_of_no_digest() -> None:
    assert Profile().digest == Profile(question_templates={"term": ("{term}?",)}).digest
