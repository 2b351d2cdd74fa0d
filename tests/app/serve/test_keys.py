"""API keys: how they are kept, what each may see, and that nothing opens without one."""

from __future__ import annotations

import ast
import json
import re
import stat
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.app.serve.serving import Served, add_key, serving
from typer.testing import Result

from ragwright.app.serve import keys
from ragwright.app.serve.authentication import Authentication, Keyring, is_loopback, presented_key
from ragwright.app.serve.errors import HttpError
from ragwright.app.serve.key_file import KeyFile
from ragwright.app.serve.keys import Key, digest_of, matching, new_secret
from ragwright.app.serve.values import LOCAL
from ragwright.core.config import Config
from ragwright.core.config_serving import ServerConfig
from ragwright.core.errors import ConfigError, InputError
from ragwright.core.types import OWNER, Access, Scope

Run = Callable[..., Result]
LOOPBACK = "127.0.0.1"
OF_PROXIES = (
    *("x-forwarded-proto", "x-forwarded-host", "x-forwarded-server", "x-forwarded-anything", "x-real-ip"),
    *("cf-connecting-ip", "true-client-ip", "x-client-ip", "via"),
)


@pytest.fixture(scope="module")
def locked(new_config: Callable[[], Config]) -> Iterator[Served]:
    """A server that wants keys."""
    config = new_config()
    add_key(config.workspace, "first")
    with serving(config) as running:
        yield running


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def asking(keyring: Keyring, headers: dict[str, str], *, peer: str | None = LOOPBACK) -> str:
    name, _, _ = Authentication(keyring, ServerConfig()).asking(headers, peer).caller.name.partition("#")
    return name


# How keys are kept


def test_a_key_is_random_and_long() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(secret.startswith("rw-") and len(secret) == 46 for secret in made)


def test_only_the_digest_is_kept_and_only_for_the_owner(tmp_path: Path) -> None:
    secret = add_key(tmp_path, "web", tenant="acme", groups=("staff",), requests_per_minute=7)
    file = tmp_path / "keys.json"
    assert secret not in file.read_text() and secret.removeprefix("rw-") not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".keys-*"))
    (kept,) = KeyFile(file).read()
    assert (kept.digest, kept.tenant, kept.groups, kept.requests_per_minute) == (
        digest_of(secret),
        "acme",
        ("staff",),
        7,
    )


def test_a_name_is_one_key_s_at_a_time_and_a_later_key_of_the_name_is_another_one(tmp_path: Path) -> None:
    file = KeyFile.in_folder(tmp_path)
    first = add_key(tmp_path, "web")
    with pytest.raises(InputError, match="there is a key web already; revoke it first"):
        add_key(tmp_path, "web")
    file.revoke("web")
    with pytest.raises(InputError, match="there is no key 'web'; there is: none"):
        file.revoke("web")
    second = add_key(tmp_path, "web")
    former, present = file.read()
    assert matching([former, present], first) is former and matching([former, present], second) is present
    assert former.revoked is not None and present.revoked is None
    assert former.identity != present.identity
    file.revoke("web")
    assert file.read()[0] == former, "a key that was revoked before stays as it was"


def test_a_key_has_a_random_id_and_its_caller_is_called_by_it(tmp_path: Path) -> None:
    for number in range(20):
        add_key(tmp_path, f"web{number}")
    kept = KeyFile.in_folder(tmp_path).read()
    assert len({each.id for each in kept}) == 20
    assert all(re.fullmatch(r"web\d+#[0-9a-f]{16}", each.caller().name) for each in kept)


def test_keys_from_before_keys_had_ids_are_still_read_and_called_by_their_names(tmp_path: Path) -> None:
    secret = add_key(tmp_path, "web", tenant="acme")
    path = tmp_path / "keys.json"
    record = json.loads(path.read_text())
    del record["keys"][0]["id"]
    path.write_text(json.dumps(record))
    keyring = Keyring(KeyFile(path))
    assert Authentication(keyring, ServerConfig()).asking(bearer(secret), LOOPBACK).key == "web"
    KeyFile(path).revoke("web")
    add_key(tmp_path, "web", tenant="acme")
    old, new = KeyFile(path).read()
    assert old.caller().name == "web" != new.caller().name


@pytest.mark.parametrize("identity", ["x", "1f3a9c0d2e4b5a6", "1F3A9C0D2E4B5A67", 5, 0, None, ["x"]])
def test_what_is_no_id_makes_no_key(tmp_path: Path, identity: object) -> None:
    record = {"name": "web", "digest": "0" * 64, "groups": [], "id": identity}
    (tmp_path / "keys.json").write_text(json.dumps({"version": 1, "keys": [record]}))
    with pytest.raises(InputError, match="holds no list of keys"):
        KeyFile.in_folder(tmp_path).read()


@pytest.mark.parametrize("name", ["environment", "local", "Local"])
def test_no_key_takes_a_name_of_the_server_s_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a name of the server's own"):
        add_key(tmp_path, name)
    record = {"name": name, "digest": "0" * 64, "groups": []}
    (tmp_path / "keys.json").write_text(json.dumps({"version": 1, "keys": [record]}))
    with pytest.raises(InputError, match="holds no list of keys"):
        KeyFile.in_folder(tmp_path).read()


def test_a_key_that_may_do_everything_is_for_no_signed_users() -> None:
    with pytest.raises(InputError, match="no signed users"):
        Key("web", digest_of("x"), admin=True, users=True)


def test_a_workspace_that_a_key_makes_is_its_owner_s_alone(tmp_path: Path) -> None:
    add_key(tmp_path / "new", "web")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a\nb", "ä", "а" * 3, "a" * 65])
def test_a_key_has_a_name_that_cannot_be_mistaken(name: str) -> None:
    with pytest.raises(InputError, match="a key cannot be called"):
        Key(name, digest_of("x"))


def test_a_tenant_or_group_that_no_document_can_have_is_refused() -> None:
    with pytest.raises(InputError, match="tenant"):
        Key("web", digest_of("x"), tenant="*")
    with pytest.raises(InputError, match="group"):
        Key("web", digest_of("x"), groups=("\u200b",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"keys": 1}',
        '{"keys": [{}]}',
        '{"keys": [{"name": "a", "digest": "b", "groups": []}]}',
        '{"keys": [{"name": "a", "digest": "%s", "groups": [], "admin": 1}]}' % ("0" * 64),
        '{"keys": [{"name": "a", "digest": "%s", "groups": [1]}]}' % ("0" * 64),
        '{"keys": [{"name": "a", "digest": "%s", "groups": [], "requests_per_minute": 0}]}' % ("0" * 64),
        '{"keys": [{"name": "a", "digest": "%s", "groups": [], "more": 0}]}' % ("0" * 64),
    ],
)
def test_a_damaged_key_file_is_no_empty_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(InputError, match="holds no list of keys"):
        KeyFile(file).read()


# Who asks


def test_without_keys_only_this_machine_itself_is_served(tmp_path: Path) -> None:
    keyring = Keyring(KeyFile.in_folder(tmp_path))
    authentication = Authentication(keyring, ServerConfig())
    assert authentication.asking({}, LOOPBACK).caller == LOCAL
    assert authentication.asking({}, "::ffff:127.0.0.1").caller == LOCAL
    assert authentication.asking(bearer("any"), LOOPBACK).caller == LOCAL  # OpenAI's client always sends one
    for headers, peer in [
        ({}, "192.168.1.9"),
        ({}, None),
        ({"x-forwarded-for": "127.0.0.1"}, LOOPBACK),
        ({"forwarded": "for=127.0.0.1"}, LOOPBACK),
        *(({name: ""}, LOOPBACK) for name in OF_PROXIES),
    ]:
        with pytest.raises(HttpError) as refused:
            authentication.asking(headers, peer)
        assert refused.value.status == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.9", "example.org"])
def test_listening_to_other_machines_without_a_key_is_refused(tmp_path: Path, host: str) -> None:
    settings = ServerConfig(host=host)
    with pytest.raises(ConfigError, match=r"there is no API key; make one: ragwright keys add NAME$"):
        Authentication(Keyring(KeyFile.in_folder(tmp_path)), settings)
    add_key(tmp_path, "web")
    Authentication(Keyring(KeyFile.in_folder(tmp_path)), settings)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("::ffff:127.0.0.1", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.example.org", False), (None, False)],
)  # fmt: skip
def test_which_addresses_are_this_machine_s_own(host: str | None, is_own: bool) -> None:
    assert is_loopback(host) is is_own


def test_a_key_is_what_its_record_says(tmp_path: Path) -> None:
    add_key(tmp_path, "plain")
    reader = Key("a", "0" * 64, tenant="acme", groups=("staff",)).caller()
    assert reader.scope == Scope(frozenset({"acme"}), frozenset({"staff"}))
    assert (reader.access, reader.may_write, reader.sees_all) == (Access("acme", ("staff",)), False, False)
    plain = Key("a", "0" * 64, write=True).caller()
    assert plain.scope == Scope(frozenset({""}), frozenset())  # open documents of nobody in particular
    assert (plain.may_write, plain.sees_all) == (True, False)
    admin = Key("a", "0" * 64, admin=True).caller()
    assert (admin.scope, admin.may_write, admin.sees_all) == (OWNER, True, True)


def test_a_key_comes_as_bearer_token_or_as_a_header_of_its_own() -> None:
    assert presented_key({"authorization": "bearer  abc "}) == "abc"
    assert presented_key({"x-api-key": "abc"}) == "abc"
    assert presented_key({"authorization": "Basic abc", "x-api-key": "def"}) == "def"
    assert presented_key({"authorization": "Bearer"}) is None
    assert presented_key({}) is None


def test_a_key_of_the_environment_may_do_everything_and_is_long(tmp_path: Path) -> None:
    secret = new_secret()
    keyring = Keyring(KeyFile.in_folder(tmp_path), own=secret)
    assert keyring.needed
    caller = Authentication(keyring, ServerConfig(host="0.0.0.0")).asking(bearer(secret), "10.0.0.9").caller
    assert (caller.name, caller.sees_all) == ("environment", True)
    with pytest.raises(ConfigError, match=r"server\.api_key has 6 characters") as refused:
        Keyring(KeyFile.in_folder(tmp_path), own="secret")
    assert "secret" not in str(refused.value)


def test_a_revoked_key_opens_nothing_at_once_and_no_key_left_opens_nothing_either(tmp_path: Path) -> None:
    secret = add_key(tmp_path, "web")
    keyring = Keyring(KeyFile.in_folder(tmp_path))
    assert asking(keyring, bearer(secret)) == "web"
    KeyFile.in_folder(tmp_path).revoke("web")
    for headers in (bearer(secret), {}):
        with pytest.raises(HttpError, match="API key"):
            asking(keyring, headers)
    (tmp_path / "keys.json").unlink()  # a server that once wanted keys goes on wanting them
    with pytest.raises(HttpError):
        asking(keyring, {})


def test_keys_that_cannot_be_read_any_more_open_nothing(tmp_path: Path) -> None:
    secret = add_key(tmp_path, "web")
    authentication = Authentication(Keyring(KeyFile.in_folder(tmp_path)), ServerConfig())
    (tmp_path / "keys.json").write_text("{")
    for headers in (bearer(secret), {}):
        with pytest.raises(HttpError) as refused:
            authentication.asking(headers, LOOPBACK)
        assert refused.value.status == 503


# On every route


WRONG = [
    None,
    "Bearer rw-wrong",
    "Bearer " + "x" * 20_000,
    "Bearer \u00e4\u00fc",
    "Basic cnctd3Jvbmc=",
    "Bearer",
    "bearer\trw-wrong",
]


def test_every_route_but_health_and_page_wants_a_key(locked: Served) -> None:
    paths = locked.app.openapi()["paths"]
    routes = [(method, path) for path, operations in paths.items() for method in operations]
    public = {"/healthz", "/readyz"}
    asked = [each for each in routes if each[1] not in public and each[1] != "/metrics"]
    asked += [("get", "/openapi.json"), ("get", "/nothing"), ("post", "/"), ("delete", "/healthz")]
    assert len(asked) > 10
    with locked.client() as client:
        for method, path in asked:
            answered = client.request(method, path.replace("{", "").replace("}", ""))
            assert answered.status_code == 401, (method, path)
            assert answered.json()["error"]["code"] == "invalid_api_key"
            assert answered.headers["www-authenticate"] == "Bearer"
        for path in ("/healthz", "/readyz", "/", "/page/main.js", "/documents/x"):
            assert client.get(path).status_code == 200


def test_wrong_keys_of_every_kind_get_401(locked: Served) -> None:
    right = locked.key("cased")
    wrong = [*WRONG, f"Bearer {right.upper()}", f"Bearer {right[:-1]}", f"Bearer x{right}", right]
    with locked.client() as client:
        for value in wrong:
            headers = {} if value is None else {b"authorization": value.encode()}
            assert client.get("/v1/models", headers=headers).status_code == 401, value
        assert client.get("/v1/models", headers=bearer(right)).status_code == 200
        assert client.get("/v1/models", headers={"x-api-key": right}).status_code == 200


def test_an_unknown_and_a_revoked_key_are_told_the_same_and_a_new_one_opens_at_once(locked: Served) -> None:
    with locked.client() as client:
        secret = locked.key("brief")
        assert client.get("/v1/models", headers=bearer(secret)).status_code == 200
        KeyFile.in_folder(locked.folder).revoke("brief")
        revoked = client.get("/v1/models", headers=bearer(secret))
        unknown = client.get("/v1/models", headers=bearer(new_secret()))
        assert (revoked.status_code, revoked.content) == (unknown.status_code, unknown.content)


def test_a_later_key_of_the_name_inherits_neither_traces_nor_ratings_nor_jobs_nor_rates(
    locked: Served,
) -> None:
    """What belonged to the name would be shown to whoever is given it next."""
    rights = {"write": True, "requests_per_minute": 6}
    first = locked.key("reused", **rights)
    with locked.client(first) as client:
        asked = {"messages": [{"role": "user", "content": "Who keeps the key of the tide gate?"}]}
        assert client.post("/v1/chat/completions", json=asked).status_code == 200
        trace = client.get("/v1/traces").json()["data"][0]["id"]
        rating = {"trace_id": trace, "rating": "up", "text": "mine alone"}
        assert client.post("/v1/feedback", json=rating).status_code == 201
        job = client.post("/v1/documents", files={"file": ("a.bin", b"\0")}).json()["id"]
        used = client.get("/v1/models")
        assert client.get(f"/v1/documents/jobs/{job}").status_code == 200
        assert used.headers["x-ratelimit-remaining-requests"] == "1"
    KeyFile.in_folder(locked.folder).revoke("reused")
    with locked.client(locked.key("reused", **rights)) as client:
        assert client.get("/v1/models").headers["x-ratelimit-remaining-requests"] == "5"
        assert client.get("/v1/traces").json()["data"] == []
        assert client.get(f"/v1/traces/{trace}").status_code == 404
        assert client.post("/v1/feedback", json=rating).status_code == 404
        assert client.get(f"/v1/documents/jobs/{job}").status_code == 404
        assert client.get("/v1/documents/jobs").status_code == 200


# Constant time


def test_secrets_are_never_compared_by_the_equality_operator() -> None:
    folder = Path(keys.__file__).parent
    words = {"secret", "digest", "signature", "presented", "token", "own", "wanted", "key", "password"}
    for name in ("keys.py", "key_file.py", "authentication.py", "signed_users.py"):
        tree = ast.parse((folder / name).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                sides = [node.left, *node.comparators]
                named = {each.id for each in sides if isinstance(each, ast.Name)}
                named |= {each.attr for each in sides if isinstance(each, ast.Attribute)}
                assert not named & words, f"{name}:{node.lineno}"
    assert "compare_digest" in (folder / "keys.py").read_text()
    assert "compare_digest" in (folder / "signed_users.py").read_text()


def test_how_much_of_a_key_is_right_takes_no_other_time() -> None:
    right = new_secret()
    known = [Key(f"k{number}", digest_of(new_secret())) for number in range(20)]
    known.append(Key("right", digest_of(right)))
    early, late = "X" + right[1:], right[:-1] + ("A" if right[-1] != "A" else "B")

    def seconds(secret: str) -> float:
        started = time.perf_counter()
        matching(known, secret)
        return time.perf_counter() - started

    ratios = []
    for _ in range(5):
        pairs = [(seconds(early), seconds(late)) for _ in range(1000)]
        first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios.append(abs(first / second - 1))
    assert min(ratios) < 0.05


# The command


def test_a_key_is_made_listed_and_revoked(run: Run, folder: Path) -> None:
    made = run("keys", "add", "web", "--tenant", "acme", "--group", "staff", "--write")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert secret.startswith("rw-") and "shown once" in made.stderr
    (kept,) = KeyFile.in_folder(folder / ".ragwright").read()
    assert (kept.tenant, kept.groups, kept.write, kept.admin) == ("acme", ("staff",), True, False)
    listed = run("keys", "list")
    assert "web" in listed.stdout and "ask, write" in listed.stdout and secret not in listed.output
    revoked = run("keys", "revoke", "web")
    assert revoked.exit_code == 0 and "the server stays closed" in revoked.stderr
    assert json.loads(run("keys", "list", "--json").stdout)["keys"][0]["revoked"] is not None
    again = json.loads(run("keys", "add", "web", "--json").stdout)
    former, present = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert former["name"] == present["name"] and former["id"] != present["id"] == again["id"]
    assert present["id"] in run("keys", "list").stdout


def test_a_key_as_json_and_what_may_not_be_combined(run: Run) -> None:
    told = json.loads(run("keys", "add", "boss", "--admin", "--json").stdout)
    assert told["name"] == "boss" and told["key"].startswith("rw-")
    both = run("keys", "add", "other", "--admin", "--tenant", "acme")
    assert both.exit_code == 1 and "leave out --tenant" in both.stderr
    users = run("keys", "add", "other", "--admin", "--signed-users")
    assert users.exit_code == 1 and "leave out --admin or --signed-users" in users.stderr
    assert run("keys", "add", "other", "--requests-per-minute", "0").exit_code == 2
    assert run("keys", "revoke", "nobody").exit_code == 1
    assert "there is no key" in run("keys", "list", "--workspace", "elsewhere").stdout


def test_the_settings_hide_their_secrets() -> None:
    settings = ServerConfig(api_key=SecretStr("canary-canary-canary-canary"), user_secret=SecretStr("canary"))
    assert "canary" not in repr(settings) and "canary" not in settings.model_dump_json()


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_other_text_matches_a_key(secret: str, other: str) -> None:
    found = matching([Key("a", digest_of(secret))], other)
    assert (found is not None) == (secret.encode("utf-8", "replace") == other.encode("utf-8", "replace"))
