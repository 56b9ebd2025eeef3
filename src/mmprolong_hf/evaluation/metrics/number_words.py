"""English number words, as the normalizations of answers know them."""

_UP_TO_NINETEEN = """
    zero one two three four five six seven eight nine ten
    eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
"""
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

DIGITS_UP_TO_NINETEEN = {word: str(number) for number, word in enumerate(_UP_TO_NINETEEN.split())}
DIGITS = DIGITS_UP_TO_NINETEEN | {word: str(10 * number) for number, word in enumerate(_TENS, start=2)}
