"""The workspaces that are served, each under a name, with what answers from it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragwright.core.errors import InputError

if TYPE_CHECKING:
    from ragwright.app.workspace import Workspace
    from ragwright.core.protocols import Generator, Rewriter
    from ragwright.generation.language_model import LanguageModel

MODEL_PREFIX = "ragwright/"


@dataclass(frozen=True, slots=True)
class Collection:
    """One served workspace.

    Attributes:
        name: As the settings call it.
        workspace: Its parts; safe for any number of threads.
        generators: What can write answers from it, by name, the configured one first. `extractive` is always
            there.
        rewriter: Makes follow-up questions stand alone.
        models: The language models behind generators, by the generator's name; one without has none here.
        created: When it was opened, seconds since 1970.
    """

    name: str
    workspace: Workspace
    generators: Mapping[str, Generator]
    rewriter: Rewriter
    models: Mapping[str, LanguageModel] = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))

    def generator(self, name: str | None) -> Generator:
        """The generator of this name; None: the configured one.

        Raises:
            InputError: There is none of this name.
        """
        chosen = next(iter(self.generators)) if name is None else name
        if chosen not in self.generators:
            known = ", ".join(self.generators)
            raise InputError(f"collection {self.name} has no generator {chosen!r}; there is: {known}")
        return self.generators[chosen]


class Collections:
    """Every served workspace, by name and by model id.

    A model id is `ragwright/NAME`, or `ragwright/NAME:GENERATOR`.
    """

    def __init__(self, collections: Mapping[str, Collection]) -> None:
        """Serve these; the first is the default.

        Args:
            collections: By name; at least one.
        """
        self._collections = dict(collections)

    def __iter__(self) -> Iterator[Collection]:
        return iter(self._collections.values())

    def get(self, name: str | None) -> Collection:
        """The collection of this name; None: the first.

        Raises:
            InputError: There is none of this name.
        """
        chosen = next(iter(self._collections)) if name is None else name
        if chosen not in self._collections:
            raise InputError(f"there is no collection {chosen!r}; there is: {', '.join(self._collections)}")
        return self._collections[chosen]

    def model_ids(self) -> list[str]:
        """Every model id: each collection's own, then one for each of its generators where it has several."""
        ids = [MODEL_PREFIX + name for name in self._collections]
        for each in self:
            if len(each.generators) > 1:
                ids += [f"{MODEL_PREFIX}{each.name}:{generator}" for generator in each.generators]
        return ids

    def resolve(self, model: str) -> tuple[Collection, str | None]:
        """The collection and the generator that a model id names; the generator is None for the default.

        Raises:
            InputError: The id names none.
        """
        name, _, generator = model.removeprefix(MODEL_PREFIX).partition(":")
        if name not in self._collections or (
            generator and generator not in self._collections[name].generators
        ):
            raise InputError(f"there is no model {model!r}; there is: {', '.join(self.model_ids())}")
        return self._collections[name], generator or None
