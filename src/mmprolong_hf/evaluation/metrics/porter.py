"""The Porter stemmer as NLTK extends it: what ROUGE compares when it is asked to ignore the endings of words."""

from functools import lru_cache
from itertools import pairwise

VOWELS = frozenset("aeiou")
# Words that the rules would get wrong.
IRREGULAR = {
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "innings": "inning",
    "outings": "outing",
    "cannings": "canning",
    **{word: word for word in ("sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")},
}
# The steps try their endings in this order and stop at the first that fits, whether or not its condition holds.
PLURALS = (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", ""))
DOUBLE_ENDINGS = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
)
ENDINGS = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
LAST_ENDINGS = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion"),
    *("ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """
    The stem of an English word.

    Args:
        word (`str`): Lower-case letters and digits.

    Source: M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980), with the changes that NLTK's
    `PorterStemmer`
    documents for its default mode (`NLTK_EXTENSIONS`).

    Example:

    ```python
    >>> [stem(word) for word in ("agencies", "running", "relational", "hopeful", "cats", "by")]
    ['agenc', 'run', 'relat', 'hope', 'cat', 'by']

    ```
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _without_tense(_without_plural(word))
    if word[-1] == "y" and len(word) > 2 and _consonants(word)[-2]:
        word = word[:-1] + "i"
    word = _replace_ending(_without_double_ending(word), ENDINGS)
    return _without_final_letters(_without_last_ending(word))


def _consonants(word: str) -> list[bool]:
    """Which letters are consonants: a "y" is one at the start and after a vowel."""
    consonants = []
    for letter in word:
        after_consonant = bool(consonants) and consonants[-1]
        consonants.append(letter not in VOWELS and not (letter == "y" and after_consonant))
    return consonants


def _measure(word: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return sum(after and not before for before, after in pairwise(_consonants(word)))


def _ends_consonant_vowel_consonant(word: str) -> bool:
    consonants = _consonants(word)
    if len(word) == 2:
        return consonants == [False, True]
    return consonants[-3:] == [True, False, True] and word[-1] not in "wxy"


def _replace_ending(word: str, endings: tuple[tuple[str, str], ...]) -> str:
    for ending, replacement in endings:
        if word.endswith(ending):
            start = word.removesuffix(ending)
            return start + replacement if _measure(start) > 0 else word
    return word


def _without_plural(word: str) -> str:
    if len(word) == 4 and word.endswith("ies"):
        return word[:-1]
    for ending, replacement in PLURALS:
        if word.endswith(ending):
            return word.removesuffix(ending) + replacement
    return word


def _without_tense(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        start = word.removesuffix(ending)
        if start != word and not all(_consonants(start)):
            return _with_regular_end(start)
    return word


def _with_regular_end(word: str) -> str:
    """What stays when -ed or -ing is gone: siz(ing) -> size, hopp(ing) -> hop, fil(ing) -> file."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if len(word) >= 2 and word[-1] == word[-2] and _consonants(word)[-1]:
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _ends_consonant_vowel_consonant(word) else word


def _without_double_ending(word: str) -> str:
    while word.endswith("alli") and _measure(word[:-4]) > 0:
        word = word[:-2]
    shorter = _replace_ending(word, DOUBLE_ENDINGS)
    # NLTK counts the "l" of "logi" as part of the word that the measure is taken of.
    if shorter == word and word.endswith("logi") and _measure(word[:-3]) > 0:
        return word[:-1]
    return shorter


def _without_last_ending(word: str) -> str:
    for ending in LAST_ENDINGS:
        if word.endswith(ending):
            start = word.removesuffix(ending)
            long_enough = _measure(start) > 1 and (ending != "ion" or start[-1] in "st")
            return start if long_enough else word
    return word


def _without_final_letters(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _ends_consonant_vowel_consonant(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
