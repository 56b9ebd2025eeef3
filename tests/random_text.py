"""Texts that a model might write on a bad day: random pieces of answers, numbers, brackets, JSON and Unicode."""

import random

PIECES = (
    "Answer:", "answer: ", "answer is (", "label:", "[Score]:", " 1 points", "[JSON]:", '{"answer_score": ',
    "Not answerable", '"student_answer_count": ', '"covered_count": ', "page ", "yes", "No.", "the ", "a ", "inf",
    "nan", "NaN", "Infinity", "1e999", "null", "true", "-", "--", ".", ",", "..5", "%", "$", "£", "'", '"', "[", "]",
    "{", "}", "[[", "]}", "(", ")", "\\", "\\u", "\n", "\r\n", "\t", " ", "\0", "\u2028", "\ud800", "٣", "３", "²", "½",
    "北京", "é", "e\u0301", "İ", "ſ", "ß", "🙂", "<image>", "```json", "https://", "a@b.co", "2019-05-01", "miles",
    " million", "mm", "A", "B)", "_J_", "0", "7", "1,200", "-3.5",
)  # fmt: skip
LONG = ("9" * 5000, "[" * 3000, '{"a":' * 3000, "[1," * 3000, " " * 5000, "answer: " * 500, "1 " * 2000, "]" * 3000)


def random_texts(num: int, seed: int = 0) -> list[str]:
    """Texts of up to 12 pieces and any characters of Unicode; every hundredth holds a very long piece."""
    stream = random.Random(seed)
    texts = []
    for index in range(num):
        pieces = stream.choices(PIECES, k=stream.randrange(13))
        pieces += [chr(stream.randrange(0x110000)) for _ in range(stream.randrange(3))]
        pieces += [stream.choice(LONG)] if index % 100 == 0 else []
        stream.shuffle(pieces)
        texts.append("".join(pieces))
    return texts
