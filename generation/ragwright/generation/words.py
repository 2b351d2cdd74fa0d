"""Words and numbers of a text, compared without a model: for claims and for follow-up questions."""

from __future__ import annotations

import re

from ragwright.generation.folding import fold

# Words that say nothing of the subject: articles, pronouns, prepositions, auxiliaries and question words.
_ENGLISH = """
a about above after again all also although am an and any anyone anything are as at be because been
before being below between both but by can cannot could did do does doing done down during each either
else ever every everyone everything few for from further get gets give given go goes got had has have
having he hence her here hers him his how however i if in into is it its itself just kind know let like
many may me might mine more most much must my neither no nor not of off on once one ones only or other
others our ours out over own please put rather really said same say says see shall she should since so
some someone something still such tell than that the their theirs them then there these they this those
though through thus to too under until up upon us very was we well were what when where whether which
while who whom whose why will with within without would yes yet you your yours according
"""
_GERMAN = """
aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf
aus bei beim bin bis bist bitte da dabei dadurch dafür dagegen daher dahin damit danach daneben dann
daran darauf daraus darf darin darüber darum darunter das dass davon davor dazu dein deine dem den denen
denn der deren des deshalb dessen desto die dies diese diesem diesen dieser dieses doch dort du durch
dürfen ein eine einem einen einer eines einige einigen er es etwa etwas euch euer für gegen genau gib
gibt hab habe haben hat hatte hatten hier hin ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im immer
in ins ist ja jede jedem jeden jeder jedes jene jenem jenen jener jenes kann kein keine keinem keinen
keiner können könnte laut machen macht man manche mehr mein meine mich mir mit muss müssen musste nach
nein nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seines seit sich sie
sind so solche solchem solchen solcher soll sollen sollte sonst sowie über um und uns unser unsere unter
viel viele vielen vom von vor wann war waren warum was weg weil weiter welche welchem welchen welcher
welches wem wen wenn wer werde werden weshalb wessen wie wieder wieso wieviel will wird wo wobei wodurch
wofür woher wohin womit woran worauf woraus worin worüber wovon wozu wurde wurden zu zum zur zwar
zwischen
"""


def word_set(text: str) -> frozenset[str]:
    """The words of a list between white space, folded."""
    return frozenset(fold(text).split())


STOP_WORDS = word_set(_ENGLISH + _GERMAN)
"""English and German, folded."""

_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)*")
_NUMBER = re.compile(r"(?<![^\W_])\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
# Scripts without spaces between words: each character counts as a word.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_STEM = 5  # letters: what endings leave in most words of English and German


def words(text: str) -> list[str]:
    """The words of a text as they stand there, in order, without signs."""
    return _WORD.findall(text)


def content_words(text: str) -> list[str]:
    """The words of a text that say something of its subject, as they stand there, in order."""
    return [word for word in words(text) if fold(word) not in STOP_WORDS]


def stem(word: str) -> str:
    """What a word is compared by: its first letters, folded.

    >>> stem("Tightened") == stem("tightening")
    True
    """
    folded = fold(word).removesuffix("'s")
    return folded if any(sign.isdigit() for sign in folded) else folded[:_STEM]


def stems(text: str) -> frozenset[str]:
    """Stems of the content words of a text, and the characters of scripts that part no words.

    >>> sorted(stems("The bolts of the cover get 35 Nm."))
    ['bolts', 'cover', 'nm']
    """
    unspaced = _UNSPACED.findall(text)
    found = content_words(_UNSPACED.sub(" ", text) if unspaced else text)
    return frozenset([*map(stem, (word for word in found if not word.isdigit())), *unspaced])


def numbers(text: str) -> frozenset[str]:
    """Numbers of a text, with a point before decimals and nothing between thousands.

    >>> sorted(numbers("1,250.5 kg at 3,5 bar for 35Nm, by M12 bolts"))
    ['1250.5', '3.5', '35']
    """
    return frozenset(map(_plain, _NUMBER.findall(text)))


def _plain(number: str) -> str:
    return number.replace(",", "") if _THOUSANDS.fullmatch(number) else number.replace(",", ".")
