"""Who may see a document, and what a caller may see: names, and the rule that joins them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import EVERYONE, OPEN, OWNER, Access, Scope

NAMES = st.sampled_from(["acme", "globex", "hr", 'a"b', "a.b", "{}", "' OR 1=1 --"])
SETS = st.none() | st.frozensets(NAMES | st.just(""), max_size=3)


@pytest.mark.parametrize(
    "name",
    ["*", " ", " a", "a ", "a\nb", "a\0", "a\u200bb", "\ud800", "a\u202eb", "\ue000", "x" * 201],
)
def test_a_name_that_means_everyone_or_cannot_be_seen_is_refused(name: str) -> None:
    for tenant, groups in ((name, ()), ("acme", ("hr", name))):
        with pytest.raises(InputError, match="cannot be used"):
            Access(tenant, groups)


def test_a_group_without_a_name_is_refused_and_a_tenant_without_one_is_nobody_in_particular() -> None:
    with pytest.raises(InputError, match="the group '' cannot be used"):
        Access("acme", ("",))
    assert Access("", ()) == OPEN


def test_rights_are_equal_whatever_order_their_groups_are_named_in() -> None:
    assert Access("a", ("x", "b", "x")) == Access("a", ("b", "x"))
    assert hash(Access("a", ("x", "b"))) == hash(Access("a", ("b", "x")))


def test_names_that_no_document_can_have_let_a_caller_see_nothing() -> None:
    assert Scope(frozenset(["\ud800", EVERYONE]), None).is_empty
    assert Scope(frozenset(["acme"]), frozenset([EVERYONE, "", "a\0"])) == Scope(
        frozenset(["acme"]), frozenset()
    )
    assert not Scope(frozenset([""]), frozenset()).is_empty
    assert not OWNER.is_empty


@given(tenants=SETS, groups=SETS, tenant=NAMES | st.just(""), held=st.lists(NAMES, max_size=3).map(tuple))
def test_a_caller_sees_what_is_of_its_tenants_and_open_or_of_its_groups(
    tenants: frozenset[str] | None, groups: frozenset[str] | None, tenant: str, held: tuple[str, ...]
) -> None:
    own = tenants is None or tenant in tenants
    open_to = groups is None or not held or any(group in groups for group in held)
    scope = Scope(tenants, groups)
    assert scope.allows(Access(tenant, held)) == (own and open_to)
    assert OWNER.allows(Access(tenant, held))
    if scope.is_empty:
        assert not scope.allows(Access(tenant, held))


def test_names_that_look_alike_are_two_names() -> None:
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    for one, other in ((composed, apart), ("acme", "Acme"), ("acme", "\u0430cme")):
        assert not Scope(frozenset([one]), None).allows(Access(other))
        assert not Scope(None, frozenset([one])).allows(Access("", (other,)))
