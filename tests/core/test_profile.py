"""Profiles: built in, from files, and their glossaries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragwright.core.errors import ConfigError
from ragwright.core.profile import Profile, builtin_profiles, load_profile


@pytest.mark.parametrize("name", builtin_profiles())
def test_every_built_in_profile_loads_and_its_glossary_can_be_asked(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    for term, synonyms in profile.glossary.items():
        assert term not in synonyms
        assert set(synonyms) & set(profile.expansions(f"about {term} here"))


def test_the_six_profiles_are_there() -> None:
    assert builtin_profiles() == ("biomedical", "finance", "general", "legal", "software", "support")


@pytest.mark.parametrize(
    ("name", "line", "heading"),
    [
        ("legal", "Article 5", True),
        ("legal", "§ 12 Scope", True),
        ("legal", "Section 3.2", True),
        ("legal", "Section 3 of the lease", False),
        ("biomedical", "METHODS", True),
        ("biomedical", "2. Materials and Methods", True),
        ("biomedical", "Methods were applied to all mice.", False),
        ("finance", "Item 7. Management's Discussion", True),
        ("finance", "Note 3", True),
        ("finance", "PART II", True),
        ("software", "GET /users/{id}", True),
        ("software", "Parameters", True),
        ("support", "Step 3: Restart", True),
        ("support", "Resolution", True),
        ("support", "Q: Why is it red?", True),
        ("general", "Chapter 5: The End", True),
        ("general", "Chapter 5 says so", False),
    ],
)
def test_headings_of_a_field_are_known(name: str, line: str, heading: bool) -> None:
    patterns = load_profile(name).heading_patterns
    assert any(re.fullmatch(pattern, line) for pattern, _ in patterns) == heading


def test_a_file_extends_a_built_in_profile(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(
        'extends = "legal"\ntokens = 120\nabbreviations = ["Xyz."]\n[glossary]\n"MRO" = ["overhaul"]\n'
    )
    ours, legal = load_profile(str(path)), load_profile("legal")
    assert (ours.name, ours.tokens) == ("ours", 120)
    assert ours.abbreviations == ("Xyz.", *legal.abbreviations)
    assert ours.heading_patterns == legal.heading_patterns
    assert ours.expansions("overhaul") == ("MRO",)
    assert "NDA" in ours.expansions("a non-disclosure agreement")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tokens = 'many'", "tokens is 'many'"),
        ("tokens = 3", "from 8 up"),
        ("overlap = 500", "less than tokens"),
        ("strategy = 'sentences'", "did you mean 'sentence'"),
        ("glosary = {}", "did you mean 'glossary'"),
        ("clause_patterns = ['(a']", r"'\(a' is not a regular expression"),
        ("clause_patterns = ['x*']", "no empty line"),
        ("clause_patterns = 5", "want a list"),
        ("heading_patterns = ['x']", "level = 1"),
        ("heading_patterns = 'x'", "want a list"),
        ("heading_patterns = [{ pattern = 'x', level = 0 }]", "want 1 or more"),
        ("abbreviations = 'x.'", "want a list"),
        ("abbreviations = [1]", "want a list of texts"),
        ("glossary = { a = 'b' }", "want a list of texts"),
        ("glossary = 3", "want a table"),
        ("language = 3", "want a text"),
        ("extends = 3", "name or path"),
        ("extends = 'own.toml'", "in a circle"),
        ("= 3", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_profile(str(path))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'legal'\?.*biomedical, finance"):
        load_profile("leagl")
    with pytest.raises(ConfigError, match="cannot read"):
        load_profile("no/such.toml")


def test_the_digest_follows_what_changes_chunks_and_nothing_else() -> None:
    digest = Profile().digest
    assert Profile(name="x", glossary={"a": ("b",)}).digest == digest
    changed = [
        Profile(tokens=100), Profile(overlap=1), Profile(strategy="fixed"), Profile(language="de"),
        Profile(abbreviations=("x.",)), Profile(clause_patterns=("x",)),
        Profile(heading_patterns=(("x", 1),)),
    ]  # fmt: skip
    assert len({digest, *(profile.digest for profile in changed)}) == 8


def test_expansions_go_both_ways_by_whole_words() -> None:
    profile = Profile(glossary={"maintenance, repair and overhaul": ("MRO",), "sign in": ("log in", "login")})
    assert profile.expansions("Who does  Maintenance, Repair and\nOverhaul?") == ("MRO",)
    assert profile.expansions("How many MROs?") == ("maintenance, repair and overhaul",)
    assert profile.expansions("What is mro or SMRO?") == ()
    assert profile.expansions("I cannot Log in") == ("sign in",)
    assert profile.expansions("MRO is maintenance, repair and overhaul") == ()
