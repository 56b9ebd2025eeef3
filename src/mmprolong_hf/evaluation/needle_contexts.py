"""Haystacks with their needles: pages of real documents, questions about what is hidden in them, and a record of each."""

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

from transformers import ProcessorMixin

from mmprolong_hf.encoding import image_limits
from mmprolong_hf.evaluation.drawing import Canvas, NoPlace, read_height
from mmprolong_hf.evaluation.generate import document_context
from mmprolong_hf.evaluation.haystack import (
    Haystack,
    context_length,
    context_span,
    fill_context,
    page_depths,
    pages_near_depth,
)
from mmprolong_hf.evaluation.needle_kinds import Needle, NeedleQuestion, deal_questions, num_keys
from mmprolong_hf.evaluation.needle_stamps import Stamp, shape_stamp, table_stamp, text_stamp
from mmprolong_hf.evaluation.requests import Ask, Context, PageImage
from mmprolong_hf.lengths import ImageLimits, page_tokens
from mmprolong_hf.prompt import branch_length

MAX_COVERED = 0.02  # of a needle's box may be printed on; else another page within reach is taken
MAX_NEW_TOKENS = 64  # three codes and a sentence around them
MAX_REACH = 0.05  # of the context, and never past the middle between two depths


def hide_needles(
    processor: ProcessorMixin,
    haystack: Haystack,
    needle: Needle,
    *,
    length: int,
    depths: Sequence[float],
    trial: int,
    seed: int,
    isolated: bool = False,
    missing: list[dict] | None = None,
) -> Iterator[tuple[Context, list[dict]]]:
    """
    One haystack of a length with a needle at each depth: the pages once, and a question about each needle.

    What is hidden is a function of the arguments alone, and the same whether needles are isolated or not.

    Args:
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        haystack (`Haystack`): The pages of this trial.
        needle (`Needle`): What is hidden.
        length (`int`): Tokens of the context, question and answer included.
        depths (`Sequence[float]`): 0 is the first page, 1 the last.
        trial, seed (`int`): Decide keys, values and places.
        isolated (`bool`): A context for each needle, in which nothing else is hidden.
        missing (`list[dict]`, *optional*): Gets `length`, `depth`, `trial`, `reason` and `detail` of each needle that no page within
            reach of its depth has room for, or is large enough for, and of all if the pages cannot fill the context.

    Returns:
        `Iterator`: Contexts, each with a record for each of its questions: `id`, `length`, `depth`, `trial`,
        `num_tokens` and `mrope_span` (with question and answer), `num_pages`, `question`, `answer` and `hidden` (for each
        needle its text, 1-based `page`, the depth at which that starts, its source, the box as fractions of the page, the
        share of it that covers print, and the height of its capitals in pixels). None of what is missing.

    Raises:
        ValueError: when needles could not be told apart.
    """
    if not isolated:
        check_distinct(needle, len(depths))
    missing = [] if missing is None else missing
    questions = deal_questions(needle, depths, random.Random(f"{seed} {trial} {length}"))
    # Room is left for the longest question with the highest page number: which page it will name is not known yet.
    texts = [needle.question.format(key=question.key, page=len(haystack.sizes)) for question in questions]
    answers = [_as_text(question.answer) for question in questions]
    longest = max(zip(texts, answers), key=lambda pair: branch_length(processor, [1], *pair))
    num_pages = fill_context(processor, haystack.sizes, *longest, length)
    if num_pages is None:
        why = {
            "reason": "the pages cannot fill the context",
            "detail": f"there are {len(haystack.sizes)}: give more documents",
        }
        missing += [{"length": length, "depth": depth, "trial": trial, **why} for depth in depths]
        return
    for group in [[question] for question in questions] if isolated else [questions]:
        filled = _FilledHaystack(haystack, num_pages, image_limits(processor), _reach(depths), needle)
        records = []
        for question in group:
            place = {"length": length, "depth": question.depth, "trial": trial}
            try:
                hidden = filled.hide(question, random.Random(f"{seed} {trial} {length} {question.depth}"))
            except NoPlace as error:
                missing.append({**place, "reason": error.reason, "detail": str(error)})
                continue
            name = f"{needle.kind} {length} {trial} {depths.index(question.depth)}"
            sizes = haystack.sizes[:num_pages]
            records.append({"id": name, **place, **_record(processor, sizes, needle, question, hidden)})
        asks = [Ask(record["id"], record["question"], max_new_tokens=MAX_NEW_TOKENS) for record in records]
        if asks:
            yield document_context(filled.pages(), asks), records


def _record(
    processor: ProcessorMixin,
    sizes: Sequence[tuple[int, int]],
    needle: Needle,
    question: NeedleQuestion,
    hidden: list[dict],
) -> dict:
    text = needle.question.format(key=question.key, page=hidden[0]["page"])
    return {
        "num_tokens": context_length(processor, sizes, text, _as_text(question.answer)),
        "mrope_span": context_span(processor, sizes, text, _as_text(question.answer)),
        "num_pages": len(sizes),
        "question": text,
        "answer": question.answer if isinstance(question.answer, str) else list(question.answer),
        "hidden": hidden,
    }


class _FilledHaystack:
    """The first pages of a haystack while needles are drawn into them."""

    def __init__(self, haystack: Haystack, num_pages: int, limits: ImageLimits, reach: float, needle: Needle):
        self.haystack, self.num_pages, self.needle = haystack, num_pages, needle
        self.limits, self.reach = limits, reach
        tokens = [page_tokens(width, height, limits) for width, height in haystack.sizes[:num_pages]]
        self.page_depths = page_depths(tokens)
        self.canvases: dict[int, Canvas] = {}

    def hide(self, question: NeedleQuestion, rng: random.Random) -> list[dict]:
        """Draw what a question asks about: the first at its depth, others at equal distances from there, around the end."""
        num, hidden = len(question.hidden), []
        try:
            for i, pairs in enumerate(question.hidden):
                hidden.append(self._hide(pairs, (question.depth + i / num) % 1 if i else question.depth, rng))
        except NoPlace:
            for place in reversed(hidden):  # what nobody asks about must not stand there
                self._canvas(place["page"] - 1).erase()
            raise
        return hidden

    def _hide(self, pairs: tuple[tuple[str, str], ...], depth: float, rng: random.Random) -> dict:
        page, stamp, capital_height, place, covered = self._find_place(pairs, depth, rng)
        width, height = self.haystack.sizes[page]
        x0, y0, x1, y1 = self._canvas(page).draw(stamp, place)
        return {
            "text": _text(self.needle, pairs, page),
            "page": page + 1,
            "page_depth": round(self.page_depths[page], 4),
            "source": self.haystack.source(page),
            "box": [round(edge, 4) for edge in (x0 / width, y0 / height, x1 / width, y1 / height)],
            "covered": round(covered, 4),
            "capital_height": round(capital_height, 1),
        }

    def _find_place(
        self, pairs: tuple[tuple[str, str], ...], depth: float, rng: random.Random
    ) -> tuple[int, Stamp, float, tuple[int, int], float]:
        """
        The nearest page to a depth with an empty place, and the height of the needle's capitals there; if none is within reach, the
        emptiest of their places.
        """
        found, problem = [], None
        for page in pages_near_depth(self.page_depths, depth, self.reach):
            stamp = _stamp(self.needle, pairs, page, self.haystack.sizes[page])
            try:
                capital_height = read_height(stamp, self.haystack.sizes[page], self.limits)
            except NoPlace as error:
                problem = problem or error
                continue
            if (place := self._canvas(page).find_place(stamp, rng)) is not None:
                found.append((page, stamp, capital_height, *place))
                if found[-1][-1] <= MAX_COVERED:
                    return found[-1]
        if not found:
            raise problem or NoPlace(
                "no room",
                f"there is no room for a needle at depth {depth:g} beside the others of {self.num_pages} pages: make needles "
                "smaller, depths fewer or lengths longer, or hide each needle alone (isolated)",
            )
        return min(found, key=lambda place: place[-1])

    def _canvas(self, page: int) -> Canvas:
        if page not in self.canvases:
            self.canvases[page] = Canvas(self.haystack.page(page).open())
        return self.canvases[page]

    def pages(self) -> list[PageImage]:
        """Those that nothing is drawn into are the haystack's own."""
        drawn = {page: canvas for page, canvas in self.canvases.items() if canvas.boxes}
        return [drawn[p].page_image() if p in drawn else self.haystack.page(p) for p in range(self.num_pages)]


def check_distinct(needle: Needle, num_depths: int) -> None:
    """
    Whether the needles of one haystack can be told apart.

    Args:
        needle (`Needle`): What is hidden.
        num_depths (`int`): How many times in one haystack.

    Raises:
        ValueError: when they cannot.
    """
    if "{key}" not in needle.question:
        raise ValueError(
            f"question is {needle.question!r}, expected a {{key}} in it that tells the needles of one haystack apart, or each "
            "needle alone (isolated)"
        )
    enough = {"keys": num_keys(needle) * num_depths, "values": needle.num_hidden * num_depths}
    for name, words in (("keys", needle.keys), ("values", needle.values)):
        if words is not None and len(words) < enough[name]:
            raise ValueError(
                f"there are {len(words)} {name}, expected {enough[name]} for {num_depths} depths in one haystack: give more, or "
                "fewer depths, or hide each needle alone (isolated)"
            )


def _reach(depths: Sequence[float]) -> float:
    return min([MAX_REACH, *((after - before) / 2 for before, after in pairwise(depths))])


def _as_text(answer: str | tuple[str, ...]) -> str:
    return answer if isinstance(answer, str) else ", ".join(answer)


def _text(needle: Needle, pairs: tuple[tuple[str, str], ...], page: int) -> str:
    rows = [needle.text.format(key=key, value=value, page=page + 1) for key, value in pairs]
    if needle.kind == "image":
        return f"{rows[0]}: {pairs[0][1]}"
    return "\n".join([needle.header, *rows] if needle.kind == "table" else rows)


def _stamp(needle: Needle, pairs: tuple[tuple[str, str], ...], page: int, page_size: tuple[int, int]) -> Stamp:
    if needle.kind == "image":
        (key, value) = pairs[0]
        return shape_stamp(needle.text.format(key=key, page=page + 1), value, page_size, needle.size)
    text = _text(needle, pairs, page)
    return (
        (table_stamp(text.split("\n"), page_size, needle.size))
        if needle.kind == "table"
        else text_stamp(text, page_size, needle.size)
    )
