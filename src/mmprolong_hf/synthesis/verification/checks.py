"""The checks that need no model: they look at the question, its evidence and the text of the whole document."""

import re
from collections.abc import Callable
from decimal import Decimal

from ..questions import MAX_ANSWER, Candidate
from ..schema import NOT_ANSWERABLE
from ..text import fold, is_clean
from .anchors import ambiguous, find_anchors, load_phrases, own_words
from .document_text import DocumentText
from .expression import PERCENT, equals_printed, evaluate, operands, to_decimal
from .quotes import answer_in, is_printed
from .verdict import PASS, Verdict

MAX_QUESTION = 1000
TRANSCRIPTIONS = ("ocr-full", "ocr-needle")
EXTRACTIVE = "extractive"  # how the names of teachers that copy their quotes begin
# mathematics and drawn underscores, whose text says less than the page shows
_UNSURE = re.compile(r"[∀-⋿⟀-⟯⦀-⫿′″]|(?:^| )_(?: |$)|\^|\$[^\d]")


def check(candidate: Candidate, text: DocumentText) -> dict[str, Verdict]:
    """
    The verdicts on one question that need no model.

    Args:
        candidate (`Candidate`): A question with its evidence.
        text (`DocumentText`): The whole document.

    Returns:
        `dict[str, Verdict]`: The first six of `schema.VERDICTS`; of a transcription, whose answer is all that its pages say,
        only the first.
    """
    names = list(_CHECKS)[:1] if candidate.question.task in TRANSCRIPTIONS else _CHECKS
    return {name: _CHECKS[name](candidate, text) for name in names}


def _evidence_inside(candidate: Candidate, text: DocumentText) -> Verdict:
    question = candidate.question
    pages = set(question.evidence_pages) | {e.page for e in candidate.evidence}
    outside = sorted(p for p in pages if not 1 <= p <= text.num_pages)
    if outside:
        return Verdict("fail", "page_outside_document", f"page {outside[0]} of {text.num_pages}")
    unseen = sorted(p for p in pages if question.segment and not question.segment[0] <= p <= question.segment[-1])
    if unseen:
        first, last = question.segment[0], question.segment[-1]
        return Verdict("fail", "page_outside_segment", f"page {unseen[0]}; the teacher saw pages {first} to {last}")
    if {e.page for e in candidate.evidence} != set(question.evidence_pages):
        return Verdict("fail", "page_without_evidence", f"pages {question.evidence_pages} and quotes differ")
    if question.task == "extract-multi" and len(pages) < 2 and question.answer != NOT_ANSWERABLE:
        return Verdict("fail", "one_page", f"all evidence of this {question.task} is on page {min(pages)}")
    return PASS


def _quotes_found(candidate: Candidate, text: DocumentText) -> Verdict:
    question = candidate.question
    exact = not question.teacher or question.teacher.startswith(EXTRACTIVE)
    unread = None
    for evidence in candidate.evidence:
        if not 1 <= evidence.page <= text.num_pages:
            return Verdict("fail", "not_confirmed", f"there is no page {evidence.page}")
        if not evidence.text and question.answer == NOT_ANSWERABLE:
            continue  # where a reader would look; nothing is printed there
        if not all(text.folded(evidence.page)):
            unread = Verdict("unchecked", "no_text", f"page {evidence.page} has no text for both engines")
        elif not is_printed(evidence.text, evidence.page, text, exact=exact):
            where = f"{evidence.text[:80]!r} on page {evidence.page}"
            if evidence.source != "Figure":
                return Verdict("fail", "not_confirmed", where)
            unread = Verdict("unchecked", "drawn", where)  # the words of a picture are no text
    for absence in candidate.absent:
        for page in absence.pages or range(1, text.num_pages + 1):
            if text.holds(absence.words, page):
                return Verdict("fail", "not_absent", f"{absence.words[:80]!r} is on page {page}")
    if unread or question.answer == NOT_ANSWERABLE or question.task == "reasoning":
        return unread or PASS
    missing = answer_in(candidate.parts, _printed(candidate, text), question.evidence_pages)
    return Verdict("fail", "answer_not_in_quotes", f"{missing[:80]!r}") if missing is not None else PASS


def _anchor_unique(candidate: Candidate, text: DocumentText) -> Verdict:
    question = candidate.question
    if question.anchor and fold(question.anchor) not in fold(question.question):
        return Verdict("fail", "anchor_not_in_question", repr(question.anchor))
    anchors = find_anchors(question.question, text)
    if not anchors:
        return Verdict("fail", "no_anchor", "it names no page, section, figure or table")
    nowhere = [a.words for a in anchors if not a.places]
    if nowhere and question.answer != NOT_ANSWERABLE:  # what is not there may be why it has no answer
        return Verdict("fail", "anchor_nowhere", nowhere[0])
    several = ambiguous(anchors, question.evidence_pages)
    if several:
        pages = ", ".join(str(first) for first, _ in several[0].places[:5])
        places = f"{several[0].words} is {len(several[0].places)} places, on pages {pages}"
        return Verdict("fail", "anchor_ambiguous", places)
    return PASS


def _wording(candidate: Candidate, text: DocumentText) -> Verdict:
    question = candidate.question
    for words in (question.question, question.answer):
        if not is_clean(words) or (words is question.answer and _UNSURE.search(words)):
            return Verdict("fail", "unreadable_characters", repr(words[:80]))
    if not all(part.strip() for part in candidate.parts) or len(question.answer) > MAX_ANSWER:
        return Verdict("fail", "answer_empty_or_long", f"{len(question.answer)} characters")
    if not 0 < len(question.question) <= MAX_QUESTION:
        return Verdict("fail", "question_empty_or_long", f"{len(question.question)} characters")
    if len(candidate.parts) > 1 and any(";" in part for part in candidate.parts):
        return Verdict("fail", "separator_in_answer", repr(question.answer[:80]))
    words = own_words(question.question)
    for rule in load_phrases()["vague"]:
        found = re.search(rule["found"], words, re.IGNORECASE)
        if found and not ("unless" in rule and re.search(rule["unless"], words, re.IGNORECASE)):
            return Verdict("fail", "vague_reference", repr(found[0].strip()))
    for pattern in load_phrases()["scopes"]:
        found = re.search(pattern, words, re.IGNORECASE)
        if found and not find_anchors(question.question, text):
            return Verdict("fail", "vague_reference", f"{found[0]!r} is all that says where")
    return PASS


def _answer_hidden(candidate: Candidate, text: DocumentText) -> Verdict:
    question = candidate.question
    if question.answer == NOT_ANSWERABLE:
        return PASS
    if question.answer_format in ("Integer", "Float"):
        numbers = re.findall(r"\d+(?:\.\d+)?", question.question)
        named = question.answer if question.answer in numbers else None
    else:
        named = next((part for part in candidate.parts if _is_named(part, question.question)), None)
    return Verdict("fail", "answer_in_question", repr(named)) if named is not None else PASS


def _is_named(answer: str, question: str) -> bool:
    """Whole words only, and a page number names a place: the title "7" is given away neither by "page 17" nor "page 7"."""
    if len(fold(answer)) < 2 or fold(answer) in ("yes", "no"):
        return False  # the title "A" is not given away by the article
    words = re.escape(answer.strip())
    question = re.sub(r"\bpages? \d+(?: (?:and|to) \d+)?", "", question, flags=re.IGNORECASE)
    return bool(re.search(rf"(?<!\w){words}(?!\w)", question, re.IGNORECASE))


def _expression(candidate: Candidate, text: DocumentText) -> Verdict:
    question = candidate.question
    if not question.expression:
        return Verdict("unchecked", "no_expression")
    try:
        value = evaluate(question.expression)
        numbers, names = operands(question.expression)
    except ValueError as error:
        return Verdict("fail", "unreadable_expression", str(error))
    equal = equals_printed(value, question.answer, percent="%" in question.expression)
    if equal is False or (equal is None and question.answer_format in ("Integer", "Float")):
        shown = f"{Decimal(value.numerator) / value.denominator:.10g}"
        return Verdict("fail", "other_value", f"{question.expression[:80]} = {shown}, not {question.answer!r}")
    printed = _printed(candidate, text)
    # a mean divides by as many numbers as it adds
    unknown = [n for n in numbers if to_decimal(n) not in (*range(len(numbers) + 1), PERCENT)]
    missing = answer_in(unknown, printed, question.evidence_pages)
    missing = missing or next((name for name in names if fold(name) not in fold(printed)), None)
    if missing is not None:
        return Verdict("fail", "operand_not_in_quotes", repr(missing))
    return PASS if equal else Verdict("unchecked", "answer_no_number", repr(question.answer[:80]))


def _printed(candidate: Candidate, text: DocumentText) -> str:
    """All quotes, and the whole lines where they stand: a heading's number is there even if only its title is quoted."""
    lines = [text.printed_at(e.page, e.box) for e in candidate.evidence if 1 <= e.page <= text.num_pages]
    return "\n".join([e.text for e in candidate.evidence] + lines)


_CHECKS: dict[str, Callable[[Candidate, DocumentText], Verdict]] = {
    "evidence_inside": _evidence_inside,
    "quotes_found": _quotes_found,
    "anchor_unique": _anchor_unique,
    "wording": _wording,
    "answer_hidden": _answer_hidden,
    "expression": _expression,
}
