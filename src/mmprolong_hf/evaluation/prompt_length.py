"""How many tokens a prompt takes, counted from its words and the sizes of its pages: no image is opened."""

from collections.abc import Sequence

from transformers import ProcessorMixin

from mmprolong_hf.encoding import image_limits
from mmprolong_hf.evaluation.prompting import fill, load_prompt, page_text
from mmprolong_hf.evaluation.requests import Ask, Context
from mmprolong_hf.lengths import NUM_IMAGE_MARKERS, page_tokens
from mmprolong_hf.prompt import beginning_text, tail_text

NO_PAGE = None  # stands for a page where only the words matter


def prompt_length(processor: ProcessorMixin, context: Context, ask: Ask, sizes: Sequence[tuple[int, int]]) -> int:
    """
    Tokens of a question with its pages, up to where the model goes on: what an engine's `prompt_tokens` says.

    Args:
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        context (`Context`), ask (`Ask`): One of its questions.
        sizes (`Sequence[tuple[int, int]]`): (width, height) in pixels of each page image.
    """
    limits = image_limits(processor)
    text = beginning_text(processor, context.parts) + tail_text(processor, ask.text) + ask.answer_start
    placeholders = len(context.pages)
    return _count(processor, text) - placeholders + sum(page_tokens(*size, limits) for size in sizes)


class PromptCosts:
    """
    What pages and questions add to the length of a prompt, before it is known which pages stand beside each other. The sum is
    never below [`prompt_length`], and above it at most by what a tokenizer saves between the head and the first page's words.

    Args:
        processor (`ProcessorMixin`): Counts.
        prompt_version (`str`): As in [`~mmprolong_hf.evaluation.prompting.make_contexts`].
        dataset (`str`): Decides how version 1.0 counts pages.
    """

    def __init__(self, processor: ProcessorMixin, prompt_version: str, dataset: str):
        self.processor, self.dataset = processor, dataset
        self.prompt, self.limits = load_prompt(prompt_version), image_limits(processor)
        self._head = _count(processor, self.prompt.head)

    def page(self, label: str, number: int, size: tuple[int, int]) -> int:
        """
        Tokens of a page with its markers and the words before it.

        Args:
            label (`str`), number (`int`): The page's document, and its number there, from 1.
            size (`tuple[int, int]`): (width, height) in pixels.

        Raises:
            ValueError: for a page that the processor refuses, as [`~mmprolong_hf.lengths.page_tokens`].
        """
        words = "\n\n" + page_text(self.prompt, self.dataset, label, number)
        # Behind the head, where the page may come to stand, the words can be tokenised otherwise than behind an image.
        behind_head = _count(self.processor, self.prompt.head + words) - self._head
        return max(_count(self.processor, words), behind_head) + page_tokens(*size, self.limits) + NUM_IMAGE_MARKERS

    def around(self, doc_name: str, question: str) -> int:
        """Tokens of everything but the pages and the answer: head, question, the chat template's and the answer's beginning."""
        head = beginning_text(self.processor, [fill(self.prompt.head, doc_name, question), NO_PAGE])
        tail = tail_text(self.processor, fill(self.prompt.tail, doc_name, question)) + self.prompt.answer_start
        one_page = NUM_IMAGE_MARKERS + 1  # its markers and its placeholder
        return _count(self.processor, head) - one_page + _count(self.processor, tail)


def _count(processor: ProcessorMixin, text: str) -> int:
    return len(processor.tokenizer(text, add_special_tokens=False).input_ids)
