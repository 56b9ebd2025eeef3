"""Questions about numbered figures and tables, through their captions."""

from collections.abc import Iterator

from ..elements import Caption
from ..questions import Candidate, Evidence, choose, pose
from .naming import Names, quotable

START_WORDS = 8
ASKABLE = range(8, 220)  # characters of a caption that can be an answer


def ask_about_captions(names: Names, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence are captions inside one segment.

    Args:
        names (`Names`): The whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    inside = [c for page in range(segment[0], segment[1] + 1) for c in names.captions_on(page)]
    common = {"seed": names.seed, "segment": segment}
    for caption in inside:
        evidence = [caption_evidence(caption)]
        yield pose("label-page", caption.page, evidence, label=caption.label, **common)
        if _is_askable(caption):
            slots = {"label": caption.label, "page": caption.page}
            yield pose("caption-of-label", caption.text, evidence, **slots, **common)
        if start := _start(names, caption):
            slots = {"kind": caption.kind.lower(), "start": quotable(start)}
            yield pose("label-of-caption", caption.label, evidence, **slots, **common)
    for k, caption in enumerate(inside):
        later = [c for c in inside[k + 1 :] if c.page > caption.page]
        if not later:
            continue
        other = choose(later, names.seed, "caption", caption.label)
        evidence = [caption_evidence(caption), caption_evidence(other)]
        slots = {"label": caption.label, "other": other.label}
        expression = f"{other.page} - {caption.page}"
        yield pose("label-distance", other.page - caption.page, evidence, expression=expression, **slots, **common)
        yield from _earlier(names, caption, other, segment)
        if _is_askable(caption) and _is_askable(other):
            yield pose("captions-of-labels", [caption.text, other.text], evidence, **slots, **common)
    for kind in sorted(names.structure.countable):
        yield from _counts(names, [c for c in inside if c.kind == kind], segment)


def _earlier(names: Names, caption: Caption, other: Caption, segment) -> Iterator[Candidate]:
    """Which of two captions, told by their words in any order, comes first."""
    starts = [_start(names, c) for c in (caption, other)]
    if all(starts) and caption.kind == other.kind:
        if choose([True, False], names.seed, "swap", caption.label):
            starts.reverse()
        slots = {"kind": caption.kind.lower(), "start": quotable(starts[0]), "other_start": quotable(starts[1])}
        evidence = [caption_evidence(caption), caption_evidence(other)]
        yield pose("earlier-label", caption.label, evidence, seed=names.seed, segment=segment, **slots)


def _counts(names: Names, captions: list[Caption], segment) -> Iterator[Candidate]:
    """Ranges of pages between two captions, widened by chance; everything on their pages is counted."""
    for k, caption in enumerate(captions):
        later = [c for c in captions[k + 1 :] if c.page > caption.page]
        if not later:
            continue
        until = choose(later, names.seed, "range", caption.label)
        first = max(segment[0], caption.page - choose([0, 1, 2], names.seed, "before", caption.label))
        last = min(segment[1], until.page + choose([0, 1, 2], names.seed, "after", caption.label))
        within = [c for c in captions if first <= c.page <= last]
        evidence = [caption_evidence(c) for c in within]
        slots = {"kind": caption.kind.lower(), "first": first, "last": last}
        common = {"seed": names.seed, "segment": segment}
        yield pose("count-labels", len(within), evidence, **slots, **common)
        if len(within) <= 8:
            yield pose("labels-on-pages", [c.label for c in within], evidence, **slots, **common)


def caption_evidence(caption: Caption) -> Evidence:
    """
    A caption with its label as evidence.

    Args:
        caption (`Caption`): Of the document.
    """
    return Evidence(caption.page, caption.box, f"{caption.label} {caption.text}", "Layout")


def _is_askable(caption: Caption) -> bool:
    return caption.whole and len(caption.text) in ASKABLE


def _start(names: Names, caption: Caption) -> str | None:
    """The first words of a caption if no other begins with them."""
    start = " ".join(caption.text.split()[:START_WORDS])
    return start if len(start.split()) >= 3 and names.captions_starting(start) == 1 else None
