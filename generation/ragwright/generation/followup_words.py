"""Words that tell a follow-up question, in English and German, folded."""

from __future__ import annotations

from ragwright.generation.words import word_set

ASKS = word_set("""
what which who whom whose when where why how is are was were do does did can could may must should will
would has have shall was welche welcher welches welchen welchem wer wem wen wessen wann wo warum wieso
weshalb wie woher wohin womit wofür wieviel ist sind war waren hat haben kann können darf dürfen muss
müssen soll sollen wird werden gibt
""")
"""Question words, and verbs that a question may begin with."""

QUESTION_WORDS = word_set("""
what which who whom whose when where why how was welche welcher welches welchen welchem wer wem wen
wessen wann wo warum wieso weshalb wie woher wohin womit wofür wieviel
""")
"""Question words alone."""

PREPOSITIONS = word_set("""
in on at for with without during after before under over from by at bei im mit ohne für nach vor während
auf am an unter über aus beim zum zur von vom
""")
"""What a question without a verb begins with."""

META = word_set("""
explain details detail example examples continue elaborate summarise summarize precisely exactly reason
source sources erkläre erklären details beispiel beispiele genauer ausführlicher weiter zusammenfassen
grund quelle quellen
""")
"""Words that ask for more of the same."""

GENERIC = word_set("""
need needs needed use used uses using work works long take takes cost happen happens mean means want
wants find show apply applies allowed possible necessary required brauche braucht brauchen benutzt
benutzen verwendet verwenden funktioniert dauert kostet bedeutet gilt gelten erlaubt möglich nötig
notwendig vorgeschrieben passiert
""")
"""Verbs that fit any subject."""

ENGLISH_PRONOUNS = word_set("""
they them their theirs he she him his her hers its those these ones former latter itself themselves
""")
"""Pronouns that stand for something named before; "it" and "this" need a closer look."""

GERMAN_PRONOUNS = word_set("""
er ihn ihm sie ihnen ihr ihre ihren ihrem ihrer seine seinen seinem seiner seines dessen deren dies diese
dieser dieses diesen diesem davon dafür dazu daran darauf dabei darin daraus dagegen dadurch darüber dort
derselbe dieselbe dasselbe denselben demselben
""")
"""The same in German; "es" and "das" need a closer look."""

GERMAN_WORDS = word_set("""
der die das den dem des ein eine einen einem einer und ist sind wie welche welcher welches wird werden
für mit muss kann darf nicht bei im von zur zum oder auf wer wann warum wo gibt braucht
""")
"""Common words that tell a German question."""

DETERMINERS = word_set("""
the a an each every der die das den dem des ein eine einen einem einer eines jede jeder jedes
""")
"""What stands before something that is named."""

VERBS = ASKS - QUESTION_WORDS | {"was"}
"""Verbs that a question may begin with; "was" is one in English."""
