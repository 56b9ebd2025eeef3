"""The words around pages: what the chat template makes of a question, and how many tokens that is. No image is needed."""

from collections.abc import Sequence

from transformers import ProcessorMixin

VISION_END = "<|vision_end|>"  # of both families, after every image


def prompt_text(processor: ProcessorMixin, page_numbers: Sequence[int], question: str) -> str:
    """
    The prompt as the chat template writes it, up to where the answer starts: every page is named by its number and stands
    before the question, so that all questions about a document share their beginning.
    """
    content = []
    for index, number in enumerate(page_numbers):
        newline = "\n" if index else ""
        content += [{"type": "text", "text": f"{newline}Page {number}:\n"}, {"type": "image"}]
    content.append({"type": "text", "text": f"\n\n{question}" if page_numbers else question})
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def split_prompt(processor: ProcessorMixin, page_numbers: Sequence[int], question: str) -> tuple[str, str]:
    """
    [`prompt_text`] in two: the document, up to the end of its last page, and what only this question has. The cut is at a special
    token, so tokens of the two parts are the tokens of the whole.
    """
    text = prompt_text(processor, page_numbers, question)
    if not page_numbers:
        return "", text
    end = len(text) - len(prompt_text(processor, page_numbers[:1], question).split(VISION_END, 1)[1])
    return text[:end], text[end:]


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
