"""
The normalization of short answers that the VQA challenge brought in, as MM-NIAH has it (OpenGVLab/MM-NIAH at 2fd03dd,
utils/tools.py).
"""

import re

from mmprolong_hf.evaluation.metrics.number_words import DIGITS

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
# Meant to spare the point of "2.5" and ".5": it spares any point before a digit.
_PERIOD = re.compile(r"\.(?!\d)")
_MAX_PERIODS = 32  # upstream passes re.UNICODE, which is 32, where re.sub() takes the number of replacements
_ARTICLES = {"a", "an", "the"}
_DIGITS = DIGITS | {"none": "0"}
_CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd
    how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't
    'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've
    someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've
    they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've
    who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd
    you'd've you'll you're you've
"""
# Each may lack one of its apostrophes.
_WITH_APOSTROPHES = {
    word[:index] + word[index + 1 :]: word
    for word in _CONTRACTIONS.split()
    for index, character in enumerate(word)
    if character == "'"
}


def vqa_normalize(s: str) -> str:
    """
    A text in lower case without articles and most punctuation, with digits for number words and apostrophes in contractions.

    A punctuation mark is deleted where it stands next to a space somewhere in the text, or where the text holds a number with a
    comma such as "1,234"; else it becomes a space. Of the points that do not come before a digit, the first 32 are deleted.

    Args:
        s (`str`): The text.

    Example:

    ```python
    >>> vqa_normalize("The Oak, tree!"), vqa_normalize("x-y"), vqa_normalize("10,000 (ten)")
    ('oak tree', 'x y', '10000 10')
    >>> vqa_normalize("don't cant")
    "don't can't"

    ```
    """
    text = s.replace("\n", " ").replace("\t", " ").strip()
    without = text
    has_digit_comma = _DIGIT_COMMA.search(text) is not None
    for mark in _PUNCTUATION:
        is_loose = f"{mark} " in text or f" {mark}" in text
        without = without.replace(mark, "" if is_loose or has_digit_comma else " ")
    without = _PERIOD.sub("", without, count=_MAX_PERIODS)
    words = (_DIGITS.get(word, word) for word in without.lower().split())
    return " ".join(_WITH_APOSTROPHES.get(word, word) for word in words if word not in _ARTICLES)
