"""Ways to spoil a right question, and ways to write it differently that spoil nothing."""

import re
from collections.abc import Callable
from dataclasses import replace

from ..questions import LIST_SEPARATOR, Candidate, choose
from ..schema import NOT_ANSWERABLE, Question
from ..text import fold
from .document_text import DocumentText

# from a question, all questions of its document, the document and a seed: the changed question, or None if it does not apply
Change = Callable[[Candidate, list[Candidate], DocumentText, str], Candidate | None]
MIN_WORDS = 8  # of a quote that is shortened
_NAMED_SECTION = re.compile(r'\bthe (section|part)\b[^"“]*"[^"]+"(?: within "[^"]+")?')
_NAMED_NUMBER = re.compile(
    r"\b(?:the )?(page|section|table|figure|chapter|appendix)s? [A-Z]?\d+(?:[.-]\d+)*", re.IGNORECASE
)


def changed_fields(candidate: Candidate, *, parts=None, evidence=None, **fields) -> Candidate:
    """
    A question with other fields; what follows from the parts of its answer, or from its evidence, is changed along.

    Args:
        candidate (`Candidate`): The question.
        parts (`tuple[str]`, *optional*): Of the new answer.
        evidence (`tuple[Evidence]`, *optional*): The new evidence.
        **fields: Of `schema.Question`.
    """
    if parts is not None:
        fields["answer"] = LIST_SEPARATOR.join(parts)
    if evidence is not None:
        fields["evidence_pages"] = tuple(sorted({e.page for e in evidence}))
    question = replace(candidate.question, **fields)
    return Candidate(question, evidence or candidate.evidence, parts or candidate.parts)


def _other_answer(candidate, others, text, seed):
    """The answer of another question of the same template: another cell, title or page."""
    q = candidate.question
    same = [c for c in others if c.question.template == q.template and fold(c.question.answer) != fold(q.answer)]
    if not same:
        return None
    other = choose(same, seed, "answer", q.question)
    return changed_fields(candidate, parts=other.parts, answer_format=other.question.answer_format)


def _off_by_one(candidate, others, text, seed):
    q = candidate.question
    return changed_fields(candidate, parts=(str(int(q.answer) + 1),)) if q.answer_format == "Integer" else None


def _no_answer(candidate, others, text, seed):
    return changed_fields(candidate, parts=(NOT_ANSWERABLE,), answer_format="String", expression="")


def _other_page(candidate, others, text, seed):
    first, last = candidate.question.segment[0], candidate.question.segment[-1]
    free = [p for p in range(first, last + 1) if p not in candidate.question.evidence_pages]
    if len(free) < len(candidate.question.evidence_pages):
        return None
    start = choose(range(len(free)), seed, "page", candidate.question.question)
    moved = {p: free[(start + k) % len(free)] for k, p in enumerate(candidate.question.evidence_pages)}
    return changed_fields(candidate, evidence=tuple(replace(e, page=moved[e.page]) for e in candidate.evidence))


def _outside_segment(candidate, others, text, seed):
    first, last = candidate.question.segment[0], candidate.question.segment[-1]
    pages = [p for p in range(1, text.num_pages + 2) if not first <= p <= last]
    page = choose(pages, seed, "outside", candidate.question.question)
    return changed_fields(candidate, evidence=(*candidate.evidence[1:], replace(candidate.evidence[0], page=page)))


def _requote(change: Callable[[list[str]], list[str] | None]):
    """Change the longest quote of a question."""

    def changed(candidate, others, text, seed):
        longest = max(candidate.evidence, key=lambda e: len(e.text))
        words = change(longest.text.split())
        if words is None:
            return None
        quote = replace(longest, text=" ".join(words))
        return changed_fields(candidate, evidence=tuple(quote if e is longest else e for e in candidate.evidence))

    return changed


def _made_up(words):
    return sorted(words, key=fold) if len(words) >= 5 and sorted(words, key=fold) != words else None


def _other_digit(words):
    k = next((k for k, word in enumerate(words) if word.strip(",.").isdigit()), None)
    return (
        None
        if k is None
        else [*words[:k], re.sub(r"\d", lambda d: str((int(d[0]) + 1) % 10), words[k], count=1), *words[k + 1 :]]
    )


def _ellipsis(words):
    return [*words[:3], "...", *words[-3:]] if len(words) >= MIN_WORDS else None


def _left_out(words):
    k = len(words) // 2
    plain = len(words) >= MIN_WORDS and len(words[k]) <= 5 and words[k].isalpha()
    return words[:k] + words[k + 1 :] if plain else None


def _this_place(candidate, others, text, seed):
    """Every named place becomes "this page", "this table"."""
    words = _NAMED_SECTION.sub(r"this \1", candidate.question.question)
    words = _NAMED_NUMBER.sub(lambda m: f"this {m[1].lower()}", words)
    return changed_fields(candidate, question=words) if words != candidate.question.question else None


def _no_place(candidate, others, text, seed):
    """Every named place is left out: "the section", "the table"."""
    words = _NAMED_SECTION.sub(r"the \1", candidate.question.question)
    words = _NAMED_NUMBER.sub(lambda m: f"the {m[1].lower()}", words)
    return changed_fields(candidate, question=words) if words != candidate.question.question else None


def _told(candidate, others, text, seed):
    q = candidate.question
    return changed_fields(candidate, question=f"{q.question} Is it {q.answer}?") if len(fold(q.answer)) > 2 else None


def _needless_page(candidate, others, text, seed):
    """A question for one page that claims to need a second."""
    q = candidate.question
    far = [
        e
        for c in others
        for e in c.evidence
        if e.page not in q.evidence_pages and q.segment[0] <= e.page <= q.segment[-1]
    ]
    if q.task != "extract-single" or not far:
        return None
    extra = choose(far, seed, "needless", q.question)
    return changed_fields(candidate, evidence=(*candidate.evidence, extra), task="extract-multi")


def _arithmetic(question: Question) -> str | None:
    """The expression of a question; of one about a distance in pages, which may have none, the difference."""
    pages = question.evidence_pages
    if question.expression or question.task != "reasoning" or len(pages) != 2:
        return question.expression or None
    return f"{pages[1]} - {pages[0]}" if question.answer == str(pages[1] - pages[0]) else None


def _recompute(form: str):
    def changed(candidate, others, text, seed):
        expression = _arithmetic(candidate.question)
        return changed_fields(candidate, expression=form.format(expression)) if expression else None

    return changed


def _other_form(candidate, others, text, seed):
    """Digits in groups, words in lower case with a full stop."""
    q = candidate.question
    if q.answer_format == "List":
        return None
    form = f"{int(q.answer):,}" if q.answer.isascii() and q.answer.isdigit() else f"{q.answer.lower()}."
    return changed_fields(candidate, parts=(form,)) if form != q.answer and q.answer_format != "Float" else None


# kind -> whether the question is wrong after it, and the change
CHANGES: dict[str, tuple[bool, Change]] = {
    "right: as asked": (False, lambda candidate, others, text, seed: candidate),
    "right: quote in capitals, other spaces": (False, _requote(lambda words: [f"{w.upper()} " for w in words])),
    "right: quote shortened by ...": (False, _requote(_ellipsis)),
    "right: quote without a short word": (False, _requote(_left_out)),
    "right: answer in another form": (False, _other_form),
    "right: expression": (False, _recompute("abs({})")),
    "answer of another question": (True, _other_answer),
    "answer off by one": (True, _off_by_one),
    "said to have no answer": (True, _no_answer),
    "evidence on another page": (True, _other_page),
    "evidence outside the segment": (True, _outside_segment),
    "quote made up": (True, _requote(_made_up)),
    "quote with another digit": (True, _requote(_other_digit)),
    'place only "this page"': (True, _this_place),
    "place left out": (True, _no_place),
    "answer told in the question": (True, _told),
    "one page is enough": (True, _needless_page),
    "expression off by one": (True, _recompute("{} + 1")),
    "expression with made-up numbers": (True, _recompute("{} + 98765 - 98765")),
}
