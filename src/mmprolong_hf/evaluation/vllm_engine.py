"""vLLM in this process as an engine."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmprolong_hf.evaluation.requests import Answer, Ask, Context
from mmprolong_hf.evaluation.server_engine import BadPage, sendable_parts
from mmprolong_hf.synthesis.endpoint import Request

TENSOR_BYTES = 64  # of each tensor; the beginning of a file is its header, and the same for all models of one shape


def weights_files_hash(folder: str | Path) -> str | None:
    """
    A hash of the `*.safetensors` in a folder: their names, sizes and headers, and the beginning of every tensor. A checkpoint
    that was trained further, under the same name, has another one.

    Args:
        folder (`str` or `Path`): A checkpoint folder; a name that is none, as the id of a model on the Hub, has no hash.

    Returns:
        `str`: sha256, or `None` where there are no such files.

    Raises:
        ValueError: for a file that is no safetensors file.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if length > size - 8:
                raise ValueError(
                    f"{path} has {size} bytes and is no safetensors file, expected weights; download it again"
                )
            header = file.read(length)
            digest.update(f"{path.name} {size} ".encode() + header)
            tensors = json.loads(header)
            tensors.pop("__metadata__", None)
            for tensor in tensors.values():
                begin, end = tensor["data_offsets"]
                file.seek(8 + len(header) + begin)
                digest.update(file.read(min(TENSOR_BYTES, end - begin)))
    return digest.hexdigest() if files else None


class VllmEngine:
    """
    Asks a model that vLLM has loaded, greedily. **It has not been run**: it is written by vLLM's documentation of `LLM` and
    `LLM.chat` (docs.vllm.ai), and its test looks at what is called.

    The messages are those that [`ServerEngine`] sends to a vLLM server with `continues`. The first question of a context is
    asked alone, so that the pages are in the prefix cache when the others come as one batch.

    Args:
        model (`str`): A checkpoint folder, or the id of a model on the Hub.
        max_model_len (`int`): Most tokens of a prompt and its answer: the longest context and some thousand more.
        max_images (`int`, *optional*, defaults to `1024`): Most pages of a context.
        hf_overrides (`dict`, *optional*): Changes to the model's config, e.g. YaRN. vLLM replaces a nested dict as a whole, so one
            with `rope_parameters` has to hold `mrope_section` too.
        mm_processor_kwargs (`dict`, *optional*): Of the processor, e.g. `{"max_pixels": 12845056}`.

    Attributes:
        name (`str`): The model, the beginning of a local folder's [`weights_files_hash`], vLLM's version, and what is
            changed of the model.
    """

    def __init__(
        self,
        model: str,
        *,
        max_model_len: int,
        max_images: int = 1024,
        hf_overrides: dict | None = None,
        mm_processor_kwargs: dict | None = None,
    ):
        import vllm  # not among our dependencies

        changes = {"hf_overrides": hf_overrides, "mm_processor_kwargs": mm_processor_kwargs}
        changed = [f", {name} {json.dumps(value, sort_keys=True)}" for name, value in changes.items() if value]
        weights = f", weights {found[:8]}" if (found := weights_files_hash(model)) else ""
        self.name = f"{model}{weights} in vllm {vllm.__version__}{''.join(changed)}"
        self._sampling_params = vllm.SamplingParams
        self._llm = vllm.LLM(
            model,
            max_model_len=max_model_len,
            limit_mm_per_prompt={"image": max_images, "video": 0},
            enable_prefix_caching=True,
            hf_overrides=hf_overrides,
            mm_processor_kwargs=mm_processor_kwargs,
        )

    def answer(self, context: Context) -> Iterator[Answer]:
        """
        The answers to a context's questions, each batch when it is done. About a page that cannot be sent every question is
        an answer with an error.

        Args:
            context (`Context`): What is asked.

        Raises:
            ValueError: vLLM's, e.g. for more tokens than `max_model_len` or more pages than `max_images`.
        """
        try:
            content, _ = sendable_parts(context)
        except BadPage as error:
            yield from (Answer(ask.id, "", error=str(error)) for ask in context.asks)
            return
        first, *others = context.asks
        # one call of vLLM continues all of its messages or none
        for asks in (
            [first],
            [ask for ask in others if ask.answer_start],
            [ask for ask in others if not ask.answer_start],
        ):
            if asks:
                yield from self._answers(content, asks)

    def _answers(self, content: tuple[str | bytes, ...], asks: Sequence[Ask]) -> Iterator[Answer]:
        continues = bool(asks[0].answer_start)
        requests = [Request("evaluation", (*content, ask.text), None, answer_start=ask.answer_start) for ask in asks]
        outputs = self._llm.chat(
            [request.messages() for request in requests],
            [self._sampling_params(temperature=0.0, max_tokens=ask.max_new_tokens) for ask in asks],
            use_tqdm=False,
            add_generation_prompt=not continues,
            continue_final_message=continues,
        )
        for ask, output in zip(asks, outputs, strict=True):
            num_tokens, cached = len(output.prompt_token_ids), output.num_cached_tokens
            prefilled = None if cached is None else num_tokens - cached
            yield Answer(ask.id, output.outputs[0].text, prompt_tokens=num_tokens, prefilled_tokens=prefilled)
