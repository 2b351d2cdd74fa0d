"""Synonyms of a query's terms, from the glossaries of every domain in an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def expander(domains: Iterable[str]) -> Callable[[str], Sequence[str]]:
    """What gives a query's synonyms, each once, in the order of the domains.

    Args:
        domains: Names of profiles or their files. A file that has moved is passed over: a search can do
            without it.
    """
    from ragwright.core.profile import load_profile

    profiles = [load_profile(domain) for domain in domains if _is_there(domain)]

    def expand(query: str) -> Sequence[str]:
        return tuple(dict.fromkeys(word for profile in profiles for word in profile.expansions(query)))

    return expand


def _is_there(domain: str) -> bool:
    return not domain.endswith(".toml") or Path(domain).is_file()
