"""Questions and queries from key phrases: what is said of them, and the words alone, as people type them.

The words alone are the inverse cloze task (Lee et al. 2019, "Latent retrieval for weakly supervised open
domain question answering") with the sentence reduced to some of its words, some of them replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragwright.finetune.questions.english import base_of, word_list
from ragwright.finetune.questions.scene import Draft, Scene
from ragwright.finetune.questions.surface import Sentence, words_of
from ragwright.finetune.questions.vocabulary import Phrase, stem, stems

TERM, KEYWORDS = "term-1", "keywords-1"
_LEAST_WORDS = 6  # of a sentence that keywords are taken of
_MOST_TERMS = 1
_MOST_QUERIES = 1
_RARE = 0.35


def term_questions(scene: Scene) -> Iterator[Draft]:
    """What is said of the heaviest phrase of a chunk; all sentences with the phrase answer."""
    if not scene.sentences:
        return
    text = " . ".join(sentence.text for sentence in scene.sentences if _is_prose(sentence))
    phrases = [phrase for phrase in scene.vocabulary.phrases(text) if _is_topic(phrase, scene)][
        : 4 * _MOST_TERMS
    ]
    for number, phrase in enumerate(phrases[:_MOST_TERMS]):
        holding = [one for one in scene.sentences if stems(phrase.text) <= stems(one.text)]
        other = _beside(phrase, holding, phrases[number + 1 :])
        term = scene.loosener.nouns(
            scene.vocabulary.small_start(phrase.text, surely=True), scene.chance, share=0.3
        )
        text = scene.template("term", term=term, other=other, title=scene.title, sign=scene.sign)
        if text and holding:
            ranges = tuple(one.range for one in holding)
            yield Draft(text, ranges, "topic", TERM, weight=0.5)


def keyword_queries(scene: Scene) -> Iterator[Draft]:
    """A few words of a sentence, as people type them into a search field; of one sentence."""
    chosen = [(sentence, words) for sentence in scene.sentences if len(words := _chosen(sentence, scene)) > 1]
    for sentence, words in scene.chance.sample(chosen, min(_MOST_QUERIES, len(chosen))):
        query = scene.loosener.nouns(" ".join(words), scene.chance, share=0.5)
        if scene.sign and scene.chance.random() < 0.3 and not stems(scene.sign) & stems(query):
            query = f"{scene.sign} {query}"
        yield Draft(
            query.lower() if scene.chance.random() < 0.6 else query,
            (sentence.range,),
            "keywords",
            KEYWORDS,
            weight=0.5,
        )


def _chosen(sentence: Sentence, scene: Scene) -> list[str]:
    """Three or four words of a sentence, neither all its rarest nor only its commonest."""
    seen: dict[str, str] = {}
    for word in scene.vocabulary.content(sentence.text):
        if (
            any(map(str.isalpha, word))
            and not word.endswith("ly")
            and word.lower() not in word_list("prepositions")
        ):
            seen.setdefault(stem(word), word)
    if not _is_prose(sentence) or len(seen) < _LEAST_WORDS:
        return []
    ranked = sorted(seen.values(), key=lambda word: -scene.vocabulary.rarity(word))
    kept = ranked[scene.chance.choice((0, 1, 1, 2)) : max(4, len(ranked) // 2 + 1)]
    count = scene.chance.choice((3, 3, 4, 4))
    drawn = set(kept[:1] + scene.chance.sample(kept[1:], min(count - 1, len(kept) - 1)))
    words = [word for word in seen.values() if word in drawn]
    return [_plain_form(word) for word in words]


def _plain_form(word: str) -> str:
    """The base form of a verb: nobody searches for "collected"."""
    return base_of(word, "third", "past", "participle") or word if word.islower() else word


def _is_topic(phrase: Phrase, scene: Scene) -> bool:
    words = words_of(phrase.text)
    return bool(words) and phrase.weight / len(words) >= _RARE and (len(words) > 1 or len(phrase.text) > 5)


def _is_prose(sentence: Sentence) -> bool:
    """Whether a sentence says something, rather than name somebody or something."""
    return (
        sentence.kind in ("paragraph", "list_item")
        and "@" not in sentence.text
        and len(sentence.text.split()) > 5
    )


def _beside(phrase: Phrase, holding: Sequence[Sentence], others: Sequence[Phrase]) -> str:
    """Another phrase of the sentences that hold one, or ""."""
    text = " ".join(one.text.lower() for one in holding)
    found = [
        other.text
        for other in others
        if other.text.lower() in text and not stems(other.text) & stems(phrase.text)
    ]
    return found[0] if found else ""
