"""Settings: which source wins, where a value came from, and what a refusal says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ragwright.core.config import Config, LoadedConfig, default_toml, load_config, settings, with_settings
from ragwright.core.errors import ConfigError
from ragwright.core.settings_sources import Origin, _key_lines, variable
from ragwright.core.settings_text import toml_value

SECRETS = {
    "index.api_key",
    "judge.api_key",
    "generator.api_key",
    "server.api_key",
    "server.user_secret",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | None = None, **sources: Any) -> LoadedConfig:
    if text is not None:
        Path("ragwright.toml").write_text(text, encoding="utf-8")
    return load_config(**{"flags": {}, "file": None, "environ": {}} | sources)


def refused(text: str | None = None, **sources: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, **sources)
    return str(caught.value).splitlines()


def test_without_any_source_every_value_is_its_default() -> None:
    loaded = load()
    assert loaded.config == Config()
    assert loaded.file is None
    assert list(loaded.origins) == list(settings())
    assert set(loaded.origins.values()) == {Origin("default", "")}


def test_flag_comes_before_environment_before_file_before_default() -> None:
    text, environ = "[search]\nlimit = 2\n", {"RAGWRIGHT_SEARCH__LIMIT": "3"}
    flags = {"search.limit": 4}
    assert load(text).config.search.limit == 2
    assert load(environ=environ).config.search.limit == 3
    loaded = load(environ=environ, flags=flags)
    assert loaded.config.search.limit == 4
    assert load(environ=environ, flags={"search.limit": None}).config.search.limit == 3


def test_origin_names_the_variable_or_the_line_of_the_file() -> None:
    loaded = load(
        '# a comment\ndomain = "legal"\n\n[ingest]\nexclude = [\n  "limit = 3",\n]\n[search]\nlimit = 3\n',
        environ={"RAGWRIGHT_INGEST__JOBS": "2"},
        flags={"answer.spans": 1},
    )
    assert loaded.origins["domain"] == Origin("file", "ragwright.toml:2")
    assert loaded.origins["ingest.exclude"] == Origin("file", "ragwright.toml:5")
    assert loaded.origins["search.limit"] == Origin("file", "ragwright.toml:9")
    assert loaded.origins["ingest.jobs"] == Origin("environment", "RAGWRIGHT_INGEST__JOBS")
    assert loaded.origins["answer.spans"] == Origin("flag", "command line")
    assert loaded.origins["answer.support"] == Origin("default", "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("search.limit = 3\n", {"search": None, "search.limit": 1}),
        ("\nsearch = {limit = 3, mode = 'dense'}\n", {"search.limit": 2, "search.mode": 2}),
        ('a = """\n[b]\nc = 1\n"""\nd = 2\n', {"a": 1, "b": None, "c": None, "d": 5}),
        ('["search"]\n"limit" = 3 # = 4\n', {"search": 1, "search.limit": 2}),
        ("[[a]]\nb = 1\n[[a]]\nc.d.e = 2\n", {"a": 1, "a.b": 2, "a.c": 4}),
    ],
)
def test_every_way_to_write_a_key_in_toml_keeps_its_line(text: str, lines: dict[str, int | None]) -> None:
    found = _key_lines(text)
    assert {key: found.get(key) for key in lines} == lines


def test_environment_text_becomes_the_type_of_its_setting() -> None:
    config = load(
        environ={
            "RAGWRIGHT_INGEST__PRUNE": "no",
            "RAGWRIGHT_INGEST__EXCLUDE": ".git, *.tmp",
            "RAGWRIGHT_INGEST__JOBS": "3",
            "RAGWRIGHT_SEARCH__EVIDENCE": "1",
            "RAGWRIGHT_SEARCH__BUDGET": "500",
            "RAGWRIGHT_CHUNK__STRATEGY": "fixed",
            "RAGWRIGHT_INDEX__COLLECTION": "7",
            "RAGWRIGHT_INDEX__API_KEY": "s3cret",
            "RAGWRIGHT_WORKSPACE": "elsewhere",
            "RAGWRIGHT_DOMAIN": "",
            "RAGWRIGHT_QDRANT_URL": "http://localhost:6333",
            "OTHER": "x",
        }
    ).config
    assert config.ingest.prune is False
    assert config.ingest.exclude == (".git", "*.tmp")
    assert (config.ingest.jobs, config.search.evidence, config.search.budget) == (3, 1.0, 500)
    assert (config.chunk.strategy, config.index.collection) == ("fixed", "7")
    assert config.index.api_key == SecretStr("s3cret")
    assert (config.workspace, config.domain) == (Path("elsewhere"), "general")


def test_nearest_file_above_is_found_and_its_paths_count_from_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'domain = "profiles/own.toml"\n[encoder]\nmodel = "./minilm"\ncache = "compiled"\n'
    Path("ragwright.toml").write_text(text, encoding="utf-8")
    assert load().config.domain == str(folder / "profiles" / "own.toml")
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    loaded = load()
    assert loaded.file == folder / "ragwright.toml"
    assert loaded.config.workspace == folder / ".ragwright"
    assert loaded.config.domain == str(folder / "profiles" / "own.toml")
    assert loaded.config.encoder.model == str(folder / "minilm")
    assert loaded.config.encoder.cache == folder / "compiled"
    assert loaded.origins["workspace"] == Origin("default", "")
    assert load(environ={"RAGWRIGHT_WORKSPACE": "here"}).config.workspace == Path("here")


@pytest.mark.parametrize("domain", ["./own.toml", "own.toml", "sub/../own.toml", "{folder}/own.toml"])
def test_path_of_a_domain_becomes_absolute_wherever_it_is_given(folder: Path, domain: str) -> None:
    own, text = str(folder / "own.toml"), domain.format(folder=folder)
    assert load(flags={"domain": text}).config.domain == own
    assert load(environ={"RAGWRIGHT_DOMAIN": text}).config.domain == own
    assert load(f'domain = "{text}"').config.domain == own
    assert load(flags={"domain": "a/b"}).config.domain == str(folder / "a" / "b")
    assert load(flags={"domain": "legal"}).config.domain == "legal"


def test_hub_id_with_a_slash_stays_a_name_and_home_is_expanded(folder: Path) -> None:
    (folder / "c").mkdir()
    other = folder / "c" / "own.toml"
    other.write_text('workspace = "~/ragwright"\n[encoder]\nmodel = "BAAI/bge-small"\n', encoding="utf-8")
    config = load(file=other).config
    assert config.encoder.model == "BAAI/bge-small"
    assert config.workspace == Path.home() / "ragwright"


def test_asked_file_comes_from_the_option_then_from_the_variable(folder: Path) -> None:
    for name, limit in (("one", 1), ("two", 2)):
        (folder / f"{name}.toml").write_text(f"search.limit = {limit}", encoding="utf-8")
    environ = {"RAGWRIGHT_CONFIG": "two.toml"}
    assert load(environ=environ).config.search.limit == 2
    assert load(environ=environ, file=Path("one.toml")).config.search.limit == 1
    assert refused(file=Path("three.toml")) == [
        "no configuration file at three.toml; ragwright init writes one"
    ]


def test_every_problem_is_told_at_once_with_its_place() -> None:
    text = 'limit = 3\n[search]\nlimt = 3\nlimit = 5000\nmode = "hybird"\n[ingest]\nprune = "yes"\n'
    assert refused(text, environ={"RAGWRIGHT_SEARCH__RRF_K": "many", "RAGWRIGHT_SEARCH_LIMIT": "3"}) == [
        'ragwright.toml:1: unknown setting "limit"; did you mean "search.limit"?',
        'ragwright.toml:3: unknown setting "search.limt"; did you mean "search.limit"?',
        'RAGWRIGHT_SEARCH_LIMIT: unknown setting "search_limit"; did you mean "RAGWRIGHT_SEARCH__LIMIT"?',
        'ragwright.toml:7: ingest.prune is "yes"; wanted true or false',
        'ragwright.toml:5: search.mode is "hybird"; wanted one of "hybrid", "dense", "lexical"',
        "ragwright.toml:4: search.limit is 5000; wanted a whole number from 1 to 1000",
        'RAGWRIGHT_SEARCH__RRF_K: search.rrf_k is "many"; wanted a whole number from 1 to 10000',
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "search.limit = true",
            "ragwright.toml:1: search.limit is true; wanted a whole number from 1 to 1000",
        ),
        ("search.limit = 3.0", "ragwright.toml:1: search.limit is 3.0; wanted a whole number from 1 to 1000"),
        ("search.evidence = nan", "ragwright.toml:1: search.evidence is NaN; wanted a number from 0 to 1"),
        ("workspace = 3", "ragwright.toml:1: workspace is 3; wanted a path in quotes"),
        ("domain = 2020-01-01", 'ragwright.toml:1: domain is "2020-01-01"; wanted a text that is not empty'),
        ('ingest.exclude = ".git"', 'ragwright.toml:1: ingest.exclude is ".git"; wanted a list of texts'),
        (
            "index.timeout_seconds = 0",
            "ragwright.toml:1: index.timeout_seconds is 0; wanted a number above 0 up to 3600",
        ),
        ("search = 3", "ragwright.toml:1: search is 3; wanted a section: [search] on a line of its own"),
        (
            "[serach]\nlimit.a = 3",
            'ragwright.toml:2: unknown setting "serach.limit"; did you mean "search.limit"?',
        ),
        ("[[chunk]]\ntokens = 3", "ragwright.toml:1: chunk is"),
        (
            "[chunk]\ntokens = 20\noverlap = 30",
            "ragwright.toml:2, ragwright.toml:3: chunk.overlap is 30; wanted less than chunk.tokens (20)",
        ),
    ],
)
def test_refusal_says_what_was_seen_and_what_is_wanted(text: str, line: str) -> None:
    assert refused(text)[0].startswith(line)


def test_secret_is_refused_outside_the_environment_and_never_shown() -> None:
    lines = refused('[index]\napi_key = "s3cret"\n')
    assert lines == [
        "ragwright.toml:2: index.api_key is a secret and may not stand here;"
        " set RAGWRIGHT_INDEX__API_KEY in the environment"
    ]
    assert "s3cret" not in repr(load("", environ={"RAGWRIGHT_INDEX__API_KEY": "s3cret"}))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb = ]\n", "ragwright.toml:2: not TOML: invalid value (column 5)"),
        (b"a = [1,\n", "ragwright.toml:2: not TOML: invalid value (end of document)"),
        (b"a = '\xff'", "ragwright.toml: byte 5 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_broken_file_is_told_with_file_and_line(content: bytes, line: str) -> None:
    Path("ragwright.toml").write_bytes(content)
    assert refused() == [line]


def test_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    Path("ragwright.toml").write_bytes(b"\xef\xbb\xbf[search]\r\nlimit = 3\r\n")
    loaded = load()
    assert (loaded.config.search.limit, loaded.origins["search.limit"].where) == (3, "ragwright.toml:2")


def test_default_file_tells_every_setting_and_loads_to_the_defaults() -> None:
    text = default_toml()
    assert load(text).config == Config()
    for key, field in settings().items():
        assert field.description
        assert field.description.endswith(".")
        assert key in SECRETS or re.search(rf"^# {key.rpartition('.')[2]} = ", text, re.MULTILINE)


def test_every_commented_line_of_the_default_file_is_valid_when_put_in_force() -> None:
    lines = default_toml().splitlines()
    names = {key.rpartition(".")[2] for key in settings()}
    active = [line[2:] if line[2:].split(" = ")[0] in names else line for line in lines]
    loaded = load("\n".join(active))
    origins = {key for key, origin in loaded.origins.items() if origin.layer == "file"}
    assert origins == set(settings()) - SECRETS
    values = {key: field.default for key, field in settings().items() if field.default is not None}
    assert {key: loaded.config.value(key) for key in values} == values


def test_chosen_values_are_written_in_force() -> None:
    config = load(default_toml({"search.limit": 3, "workspace": Path("a b")})).config
    assert (config.search.limit, config.workspace) == (3, Path("a b"))


def test_a_setting_can_be_given_by_its_key_on_any_command_line() -> None:
    config = load(assignments=("search.limit=3", "ingest.exclude=a, b", "search.budget=")).config
    assert (config.search.limit, config.ingest.exclude, config.search.budget) == (3, ("a", "b"), None)
    assert load(assignments=("search.limit=3",), flags={"search.limit": 4}).config.search.limit == 4


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("search.limit", "wanted key=value"),
        ("=3", "wanted key=value"),
        ("search.limits=3", 'unknown setting "search.limits"; did you mean "search.limit"?'),
        ("search.limit=many", "--set: search.limit is"),
        ("index.api_key=x", "is a secret"),
    ],
)
def test_an_assignment_that_cannot_be_used_is_told(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(assignments=(assignment,))


def test_settings_can_be_changed_and_are_checked_as_a_whole() -> None:
    changed = with_settings(Config(), {"chunk.tokens": 64, "domain": "legal"})
    assert (changed.chunk.tokens, changed.domain, changed.search) == (64, "legal", Config().search)
    with pytest.raises(ConfigError, match=r"chunk\.overlap is 64"):
        with_settings(changed, {"chunk.overlap": 64})
    with pytest.raises(ConfigError, match=r'unknown setting "chunk\.size"'):
        with_settings(changed, {"chunk.size": 64})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().search.limit = 3


@given(limit=st.integers(1, 1000), evidence=st.floats(0, 1), exclude=st.lists(st.text(max_size=9)))
def test_value_written_to_a_file_is_the_value_read(limit: int, evidence: float, exclude: list[str]) -> None:
    chosen = {"search.limit": limit, "search.evidence": evidence, "ingest.exclude": tuple(exclude)}
    config = load(default_toml(chosen)).config
    assert {key: config.value(key) for key in chosen} == chosen
    assert toml_value(tuple(exclude)) in Path("ragwright.toml").read_text(encoding="utf-8")


@given(number=st.integers(1, 1000))
def test_variable_of_a_key_sets_that_key(number: int) -> None:
    assert load(environ={variable("search.limit"): str(number)}).config.search.limit == number


def test_importing_the_settings_loads_nothing_heavy() -> None:
    code = "import sys, ragwright.core.config; print(sorted({'numpy', 'rich', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
