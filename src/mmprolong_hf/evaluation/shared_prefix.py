"""The engine in this process: a context's pages are read once, and all its questions are answered from what was kept of them."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
import transformers
from transformers import PreTrainedModel, ProcessorMixin

import mmprolong_hf
from mmprolong_hf.encoding import encode_tail, encode_turn, image_limits
from mmprolong_hf.evaluation.page_features import PageFeatures, UnreadablePageError
from mmprolong_hf.evaluation.prefix_cache import PrefixCache, generate_answers, read_prefix
from mmprolong_hf.evaluation.requests import Answer, Ask, Context


class TransformersEngine:
    """
    Greedy answers of a transformers model, whatever its generation_config asks for. The keys and values of a context, 7 GiB at
    128K tokens of a 7B model, exist once and not once a question.

    Args:
        model (`PreTrainedModel`): Qwen2.5-VL or Qwen3-VL, from [`~mmprolong_hf.evaluation.generate.load_model`].
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        prefill_chunk (`int`, *optional*, defaults to `8192`): Tokens of a context that go through the model together.
        question_batch (`int`, *optional*, defaults to `8`): Questions that are answered together.
        feature_bytes (`int`, *optional*, defaults to 8 GiB): Host memory for vision features of pages seen before.

    Raises:
        ValueError: when one of the first two numbers is below 1, or the model is in training mode.

    Example:

    ```python
    engine = TransformersEngine(load_model("my-checkpoint"), load_processor("my-checkpoint"))
    pages = (PageImage(Path("page-1.png")), PageImage(Path("page-2.png")))
    for answer in engine.answer(Context(pages, (Ask("a", "Who signed?"), Ask("b", "When?")))):
        print(answer.id, answer.text, answer.prefilled_tokens)
    ```
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        *,
        prefill_chunk: int = 8192,
        question_batch: int = 8,
        feature_bytes: int = 8 << 30,
    ):
        for name, number in (("prefill_chunk", prefill_chunk), ("question_batch", question_batch)):
            if number < 1:
                raise ValueError(f"{name} is {number}, expected at least 1")
        if model.training:  # gradient checkpointing would switch the cache off
            raise ValueError("the model is in training mode, expected one that answers: call model.eval()")
        self.model, self.processor = model, processor
        self.prefill_chunk, self.question_batch = prefill_chunk, question_batch
        self.features = PageFeatures(model, processor, feature_bytes)
        # <|im_end|> and <|endoftext|>, which the generation_config of both families names too
        self.ends = {processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id}
        self.name = f"{model.name_or_path} ({', '.join(_settings(model, processor))})"

    def answer(self, context: Context) -> Iterator[Answer]:
        """
        The answers to a context's questions, batch by batch. When a page cannot be read or memory does not suffice, the questions
        that have none yet get an [`Answer`] with an `error`; any other failure is raised.
        """
        num_answered, error = 0, None
        try:
            prefix = self._read(context)
            for start in range(0, len(context.asks), self.question_batch):
                asks = context.asks[start : start + self.question_batch]
                answers = self._answers(prefix, asks, prefix.length if start == 0 else 0)
                yield from answers
                num_answered += len(answers)
        except (UnreadablePageError, MemoryError, RuntimeError) as failure:
            if isinstance(failure, RuntimeError) and not _out_of_memory(failure):
                raise
            error = f"{type(failure).__name__}: {failure}"
        yield from (Answer(ask.id, "", error=error) for ask in context.asks[num_answered:])

    def _read(self, context: Context) -> PrefixCache:
        parts = [part if isinstance(part, str) else self.features.grid(part) for part in context.parts]
        turn = encode_turn(self.processor, parts)
        merge_size = self.processor.image_processor.merge_size
        sizes = (turn["image_grid_thw"].prod(-1) // merge_size**2).tolist()
        features = partial(self.features.rows, context.pages, sizes)
        return read_prefix(self.model, turn, features, chunk=self.prefill_chunk, merge_size=merge_size)

    def _answers(self, prefix: PrefixCache, asks: Sequence[Ask], prefilled: int) -> list[Answer]:
        """
        Args:
            prefilled (`int`): Tokens of the context that were computed for these questions; they count as the first one's.
        """
        tails = [encode_tail(self.processor, ask.text, ask.answer_start) for ask in asks]
        limits = [ask.max_new_tokens for ask in asks]
        written = generate_answers(self.model, prefix, tails, limits=limits, ends=self.ends)
        return [
            Answer(
                ask.id,
                self.processor.tokenizer.decode(tokens, skip_special_tokens=True).strip(),
                prompt_tokens=prefix.length + len(tail),
                prefilled_tokens=len(tail) + (0 if index else prefilled),
                largest_position=prefix.next_position + len(tail) - 1,
            )
            for index, (ask, tail, tokens) in enumerate(zip(asks, tails, written))
        ]


def _settings(model: PreTrainedModel, processor: ProcessorMixin) -> Iterator[str]:
    """What decides answers beside the weights: the same checkpoint is also evaluated with other rotary frequencies."""
    yield str(model.dtype).removeprefix("torch.")
    rope = model.config.get_text_config().rope_parameters
    yield from (f"{name} {rope[name]}" for name in ("rope_type", "rope_theta", "factor") if name in rope)
    limits = image_limits(processor)
    yield f"pages of {limits.min_pixels} to {limits.max_pixels} pixels"
    yield from (f"{module.__name__} {module.__version__}" for module in (mmprolong_hf, transformers, torch))


def _out_of_memory(failure: RuntimeError) -> bool:
    # The CPU's allocator has no class for it, only words
    return isinstance(failure, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(failure)
