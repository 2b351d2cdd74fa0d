"""Questions as hurried people type them, changed by rules that repeat: how robust is a system to them?

Every rule is a pure function of the question's text, a generator seeded by seed, rule and question id, and a
glossary. The rules know English; a question that a rule does not fit is left out of its comparison, so that
unchanged questions do not soften the drop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType

from ragwright.core.errors import ConfigError
from ragwright.core.types import Question
from ragwright.eval.measures import PERTURBED
from ragwright.eval.perturb_words import (
    ABBREVIATIONS,
    EXPANDED_ONLY,
    NEIGHBOURS,
    OPENERS,
    PREPOSITIONS,
    STOP_WORDS,
    SUBORDINATORS,
)
from ragwright.eval.statistics import estimate
from ragwright.eval.values import Row

Rule = Callable[[str, Random, Mapping[str, str]], str | None]
"""From a question's text, a seeded generator and a glossary to another text, or None."""

WORDS_PER_TYPO = 5
"""One typing error in so many words that can bear one, at least one in all."""

_NO_GLOSSARY: Mapping[str, str] = MappingProxyType({})
_LONG_WORD = 5  # letters
_LONGEST_TAIL = 8  # words that a prepositional phrase may have and still be moved


def perturb(
    question: Question, name: str, *, seed: int = 0, glossary: Mapping[str, str] = _NO_GLOSSARY
) -> Question | None:
    """The question in other words; id, references and everything else stay as they are.

    Args:
        question: Any.
        name: One of PERTURBATIONS.
        seed: Another seed makes other typing errors; the same one the same, whatever else is perturbed.
        glossary: Abbreviation to what it stands for, used beside a small English list.

    Returns:
        A question with another text; None where the rule does not apply.

    Raises:
        ConfigError: No perturbation has that name.
    """
    if name not in PERTURBATIONS:
        raise ConfigError(f"{name!r} is no perturbation; choose from {', '.join(PERTURBATIONS)}")
    generator = Random(f"{seed}\n{name}\n{question.id}")
    text = PERTURBATIONS[name](question.text, generator, glossary)
    if text is None or not text.strip() or text == question.text:
        return None
    return replace(question, text=text)


def _lower(text: str, generator: Random, glossary: Mapping[str, str]) -> str | None:
    """Everything in small letters."""
    return text.lower()


def _upper(text: str, generator: Random, glossary: Mapping[str, str]) -> str | None:
    """Everything in capitals."""
    return text.upper()


def _typos(text: str, generator: Random, glossary: Mapping[str, str]) -> str | None:
    """One error in some of the long plain words; numbers, codes and acronyms are typed with care."""
    words = [found for found in re.finditer(r"\S+", text) if _is_plain(found[0])]
    if not words:
        return None
    chosen = generator.sample(words, max(1, len(words) // WORDS_PER_TYPO))
    for found in sorted(chosen, key=lambda word: -word.start()):
        text = text[: found.start()] + _mistyped(found[0], generator) + text[found.end() :]
    return text


def _is_plain(word: str) -> bool:
    """Whether a word, signs around it aside, is letters only, long enough, and no acronym or code."""
    core = word.strip(".,;:?!()[]{}\"'“”‘’«»")
    return core.isalpha() and len(core) >= _LONG_WORD and core[1:] == core[1:].lower()


def _mistyped(word: str, generator: Random) -> str:
    """The word with two letters swapped, or one dropped, doubled or missed for the key beside it.

    The first letter stays, as typists rarely miss it.
    """
    letters = [place for place, letter in enumerate(word) if letter.isalpha()][1:]
    for kind in generator.sample(("swap", "drop", "double", "neighbour"), 4):
        place = generator.choice(letters[:-1])
        letter, following = word[place], word[place + 1]
        if kind == "swap" and letter != following:
            return word[:place] + following + letter + word[place + 2 :]
        if kind == "drop":
            return word[:place] + word[place + 1 :]
        if kind == "double":
            return word[:place] + letter + word[place:]
        if kind == "neighbour" and letter in NEIGHBOURS:
            return word[:place] + generator.choice(NEIGHBOURS[letter]) + word[place + 1 :]
    raise AssertionError("unreachable")


def _reordered(text: str, generator: Random, glossary: Mapping[str, str]) -> str | None:
    """The last sentence with its end moved to the front, or the reverse.

    By the first rule that fits: a subordinate clause changes sides (`X when Y` and `When Y, X`); a
    prepositional phrase at the end comes first (`In Y, X`); the parts before and after a comma change places.
    """
    found = re.fullmatch(r"(?P<before>.*[.!?]\s+)?(?P<body>.+?)(?P<end>[\s.!?]*)", text, flags=re.DOTALL)
    if not found:
        return None
    body = found["body"]
    moved = _clause_to_end(body) or _clause_to_front(body) or _tail_to_front(body) or _around_comma(body)
    return f"{found['before'] or ''}{_capitalised(moved)}{found['end']}" if moved else None


def _clause_to_end(body: str) -> str | None:
    found = re.fullmatch(rf"((?:{SUBORDINATORS})\b[^,]+),\s*([^,]+)", body, flags=re.IGNORECASE)
    return f"{found[2]} {_inside(found[1])}" if found else None


def _clause_to_front(body: str) -> str | None:
    found = re.fullmatch(rf"(\S+\s.*?\S),?\s+((?:{SUBORDINATORS})\s+\S+\s.*\S)", body, flags=re.DOTALL)
    return f"{found[2]}, {_inside(found[1])}" if found else None


def _tail_to_front(body: str) -> str | None:
    words = body.split()
    for place in range(len(words) - 2, 2, -1):
        hangs_together = words[place + 1] not in PREPOSITIONS | {"to", "of"}
        if words[place] in PREPOSITIONS and hangs_together and len(words) - place <= _LONGEST_TAIL:
            return f"{' '.join(words[place:])}, {_inside(' '.join(words[:place]))}"
    return None


def _around_comma(body: str) -> str | None:
    head, comma, tail = body.partition(", ")
    return f"{tail}, {_inside(head)}" if comma and head.strip() and tail.strip() else None


def _inside(part: str) -> str:
    """A part that opened a sentence, as it stands within one; names keep their capital."""
    first = part.split(maxsplit=1)[0]
    return part[0].lower() + part[1:] if first.lower() in OPENERS else part


def _capitalised(part: str) -> str:
    return part[0].upper() + part[1:]


def _abbreviations(text: str, generator: Random, glossary: Mapping[str, str]) -> str | None:
    """Abbreviations written out; where there are none, words abbreviated."""
    known = {**ABBREVIATIONS, **glossary}
    known = {short: long for short, long in known.items() if short.strip() and long.strip()}
    expanded = _replaced(text, known)
    if expanded != text:
        return expanded
    contracted = {long: short for short, long in reversed(known.items()) if short not in EXPANDED_ONLY}
    return _replaced(text, contracted)


def _replaced(text: str, known: Mapping[str, str]) -> str:
    """Every whole-word occurrence of a key replaced, longest first, capitals as they are written.

    A key in small letters is also found at the start of a sentence.
    """
    if not known:
        return text
    forms = {form: value for key, value in known.items() for form in {key, key[0].upper() + key[1:]}}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    pattern = "|".join(map(re.escape, longest_first))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", lambda found: forms[found[0]], text)


def _keywords(text: str, generator: Random, glossary: Mapping[str, str]) -> str | None:
    """What is typed into a search box: no stop words, no signs between the words."""
    words = (word.strip(',;:?!()[]{}"“”«»').removesuffix(".") for word in text.split())
    kept = [word for word in words if word and word.lower().replace("’", "'") not in STOP_WORDS]
    return " ".join(kept)


PERTURBATIONS: Mapping[str, Rule] = MappingProxyType(
    {
        "lower": _lower,
        "upper": _upper,
        "typos": _typos,
        "reordered": _reordered,
        "abbreviations": _abbreviations,
        "keywords": _keywords,
    }
)
"""The rules, by the name that follows `~` in a measure."""


def perturbed_rows(rows: Iterable[Row], name: str) -> list[Row]:
    """Rows of perturbed questions under the perturbation's name.

    >>> perturbed_rows([Row("q1", "recall", 0.5)], "typos")
    [Row(question_id='q1', measure='recall~typos', value=0.5)]
    """
    return [replace(row, measure=f"{row.measure}{PERTURBED}{name}") for row in rows]


@dataclass(frozen=True, slots=True)
class Drop:
    """What a perturbation costs, over the questions that it applies to.

    Attributes:
        measure: As it is named without perturbation.
        perturbation: One of PERTURBATIONS, or another name that rows carry after `~`.
        original: Mean over the same questions, unperturbed.
        perturbed: Mean over the perturbed ones.
        drop: `original - perturbed`; for a measure of which less is better a loss is negative.
        low: Lower end of the 95 % bootstrap interval of the drop, over questions.
        high: Upper end.
        n: How many questions.
    """

    measure: str
    perturbation: str
    original: float
    perturbed: float
    drop: float
    low: float
    high: float
    n: int


def drops(rows: Iterable[Row], *, seed: int = 0) -> tuple[Drop, ...]:
    """The paired drop of every measure and perturbation that rows exist for, in the rows' order.

    Args:
        rows: Of one run, plain (`recall`) and perturbed (`recall~typos`).
        seed: Of the bootstrap.
    """
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(row.measure, {})[row.question_id] = row.value
    found = []
    for name, perturbed in values.items():
        measure, mark, perturbation = name.partition(PERTURBED)
        plain = values.get(measure, {})
        pairs = [(plain[each], perturbed[each]) for each in sorted(perturbed.keys() & plain.keys())]
        if mark and pairs:
            found.append(_drop(measure, perturbation, pairs, seed=seed))
    return tuple(found)


def _drop(measure: str, perturbation: str, pairs: list[tuple[float, float]], *, seed: int) -> Drop:
    """The drop over pairs of an original and a perturbed value."""
    n = len(pairs)
    lost = estimate([before - after for before, after in pairs], measure=measure, seed=seed)
    original, perturbed = (sum(side) / n for side in zip(*pairs, strict=True))
    return Drop(measure, perturbation, original, perturbed, lost.mean, lost.low, lost.high, n)
