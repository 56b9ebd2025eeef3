"""The words around pages: what the chat template makes of a question, and how many tokens that is. No image is needed."""

from collections.abc import Sequence

from transformers import ProcessorMixin

IMAGE_PAD = "<|image_pad|>"  # of both families: an image's tokens, and before tokenising its one placeholder
VISION_END = "<|vision_end|>"  # after every image


def turn_text(processor: ProcessorMixin, parts: Sequence) -> str:
    """
    A user's turn as the chat template writes it, up to where the answer starts.

    Args:
        parts (`Sequence`): Strings, and in a page's place anything else.

    Raises:
        ValueError: when a text holds an image's placeholder, which would be taken for a page.
    """
    for part in parts:
        if isinstance(part, str) and IMAGE_PAD in part:
            raise ValueError(
                f"{part[:80]!r} holds {IMAGE_PAD}, expected text without a page's placeholder; take it out"
            )
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )


def beginning_text(processor: ProcessorMixin, parts: Sequence) -> str:
    """
    What all questions about the same pages begin with: [`turn_text`] up to the end of its last page. The cut is at a special token,
    so tokens of the beginning and of a [`tail_text`] are the tokens of the whole.

    Args:
        parts (`Sequence`): As in [`turn_text`]; the last one is a page.
    """
    return turn_text(processor, parts).rpartition(VISION_END)[0] + VISION_END


def tail_text(processor: ProcessorMixin, text: str) -> str:
    """What [`beginning_text`] is followed by when `text` is asked: it, the end of the turn, and the start of the answer."""
    return turn_text(processor, [None, text]).partition(VISION_END)[2]


def document_parts(pages: Sequence, page_numbers: Sequence[int]) -> list:
    r"""
    Pages as parts of a turn, each under its number.

    Example:

    ```python
    >>> document_parts([None, None], [3, 7])
    ['Page 3:\n', None, '\nPage 7:\n', None]

    ```
    """
    parts = []
    for page, number in zip(pages, page_numbers):
        newline = "\n" if parts else ""
        parts += [f"{newline}Page {number}:\n", page]
    return parts


def question_part(question: str) -> str:
    """A question as it stands behind pages."""
    return f"\n\n{question}"


def prompt_text(processor: ProcessorMixin, page_numbers: Sequence[int], question: str) -> str:
    """
    The prompt as the chat template writes it, up to where the answer starts: every page is named by its number and stands
    before the question, so that all questions about a document share their beginning.
    """
    pages = document_parts([None] * len(page_numbers), page_numbers)
    return turn_text(processor, [*pages, question_part(question) if pages else question])


def split_prompt(processor: ProcessorMixin, page_numbers: Sequence[int], question: str) -> tuple[str, str]:
    """[`prompt_text`] in two: the document, up to the end of its last page, and what only this question has."""
    if not page_numbers:
        return "", prompt_text(processor, [], question)
    pages = document_parts([None] * len(page_numbers), page_numbers)
    return beginning_text(processor, pages), tail_text(processor, question_part(question))


def document_text_length(processor: ProcessorMixin, page_numbers: Sequence[int]) -> int:
    """
    Tokens of a document that belong to no image (and not to the two markers around each): what
    [`~mmprolong_hf.lengths.sample_length`] adds the pages to. No image is needed.
    """
    document, _ = split_prompt(processor, page_numbers, "")
    return len(processor.tokenizer(document, add_special_tokens=False).input_ids) - 3 * len(page_numbers)


def branch_length(processor: ProcessorMixin, page_numbers: Sequence[int], question: str, answer: str) -> int:
    """Tokens of a question and its answer behind a document of these pages."""
    _, branch = split_prompt(processor, page_numbers[:1], question)
    prompt = processor.tokenizer(branch, add_special_tokens=False).input_ids
    return len(prompt) + len(answer_ids(processor, answer))


def text_length(processor: ProcessorMixin, page_numbers: Sequence[int], question: str, answer: str) -> int:
    """[`document_text_length`] and [`branch_length`] together."""
    return document_text_length(processor, page_numbers) + branch_length(processor, page_numbers, question, answer)


def answer_ids(processor: ProcessorMixin, answer: str) -> list[int]:
    """
    An answer's tokens with the end of the turn: tokenised by itself, since that is how a model has to write it.

    Raises:
        ValueError: when the answer is empty or begins or ends with white space, which a prompt's end could merge with.
    """
    if not answer or answer != answer.strip():
        raise ValueError(f"answer is {answer!r}, expected text without white space at its ends")
    return [*processor.tokenizer(answer, add_special_tokens=False).input_ids, processor.tokenizer.eos_token_id]
