"""What `mmprolong evaluate` is told: a plan in YAML, read strictly into dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmprolong_hf.evaluation.benchmark_rows import DATASETS, MAX_QUESTIONS
from mmprolong_hf.evaluation.judge import OWN_PROMPTS
from mmprolong_hf.evaluation.prompting import MAX_NEW_TOKENS, PROMPT_VERSIONS
from mmprolong_hf.synthesis.endpoint import EndpointOptions
from mmprolong_hf.synthesis.yaml_options import change_values, read_options, read_yaml

ENGINES = ("transformers", "vllm", "server")
HEADLINE = (65536, 131072)  # tokens


@dataclass(frozen=True)
class RopeOptions:
    """
    The context of the model extended before its weights load, without training: what
    [`~mmprolong_hf.rope.extend_context`] takes.
    """

    rope_type: str = "default"
    rope_theta: float | None = None
    factor: float | None = None
    original_max_position_embeddings: int | None = None
    max_position_embeddings: int | None = None


@dataclass(frozen=True)
class TransformersOptions:
    """Of [`~mmprolong_hf.evaluation.shared_prefix.TransformersEngine`]."""

    prefill_chunk: int = 8192
    question_batch: int = 8


@dataclass(frozen=True)
class VllmOptions:
    """Of [`~mmprolong_hf.evaluation.vllm_engine.VllmEngine`]."""

    max_model_len: int = 139264  # 128K tokens and some for the answer
    max_images: int = 1024


@dataclass(frozen=True)
class ServerOptions:
    """
    Of [`~mmprolong_hf.evaluation.server_engine.ServerEngine`]: which server, whether it goes on in a message, and whether the
    tokens of a prompt that it tells are compared with the processor's of the plan's model.
    """

    endpoint: EndpointOptions
    continues: bool = True
    check_prompts: bool = True


@dataclass(frozen=True)
class MMLongBenchOptions:
    """
    MMLongBench's three sets of document questions, from its own files or VLMEvalKit's.

    Args:
        image_folder (`str`): Where the paths of pages start.
        folder (`str`, *optional*): Holds `documentQA/mmlongdoc_K64.jsonl` and so on.
        datasets (`tuple[str, ...]`), lengths (`tuple[int, ...]`): Which of these files; lengths in tokens.
        tsv (`tuple[str, ...]`): VLMEvalKit's files, the only ones of 256K and 512K.
        max_questions (`int`, *optional*): Of each dataset and length; `null` for all.
        seed (`int`): Chooses them.
        prompt_version (`str`): `"v1.0"` or `"v1.1"`.

    Raises:
        ValueError: when there is no file to read, a dataset is unknown, or a number is none that can be asked for.
    """

    image_folder: str
    folder: str | None = None
    datasets: tuple[str, ...] = DATASETS
    lengths: tuple[int, ...] = HEADLINE
    tsv: tuple[str, ...] = ()
    max_questions: int | None = MAX_QUESTIONS
    seed: int = 42
    prompt_version: str = "v1.1"

    def __post_init__(self):
        _check_prompt_version(self.prompt_version)
        if self.folder is None and not self.tsv:
            raise ValueError("neither folder nor tsv is given, expected MMLongBench's files or VLMEvalKit's")
        if unknown := set(self.datasets) - set(DATASETS):
            raise ValueError(f"datasets has {sorted(unknown)}, expected some of {', '.join(DATASETS)}")
        if wrong := [length for length in self.lengths if length < 1024 or length % 1024]:
            raise ValueError(f"lengths has {wrong}, expected multiples of 1024 tokens, as in the names of the files")
        if self.max_questions is not None and self.max_questions < 1:
            raise ValueError(f"max_questions is {self.max_questions}, expected at least 1, or null for all")


@dataclass(frozen=True)
class DocumentsOptions:
    """
    Questions about documents of one's own, at lengths that are filled up with other documents.

    Args:
        name (`str`): The set's, as reports call it.
        dataset (`str`, *optional*): Folder or Hub id of a set that `mmprolong build` wrote.
        split (`str`): Of it.
        pdfs, questions (`str`, *optional*): Instead: a folder of PDFs, and a JSONL file of questions about them.
        lengths (`tuple[int, ...]`): Tokens of a context.
        share_context (`bool`): One context for all questions of a document.
        seed (`int`): Of what fills contexts up.
        prompt_version (`str`): As in [`~mmprolong_hf.evaluation.prompting.make_contexts`].

    Raises:
        ValueError: when not exactly one source is named.
    """

    name: str
    dataset: str | None = None
    split: str = "test"
    pdfs: str | None = None
    questions: str | None = None
    lengths: tuple[int, ...] = HEADLINE
    share_context: bool = True
    seed: int = 0
    prompt_version: str = "plain"

    def __post_init__(self):
        _check_prompt_version(self.prompt_version)
        sources = (self.dataset, self.pdfs, self.questions)
        if [source is not None for source in sources] not in ([True, False, False], [False, True, True]):
            raise ValueError(
                f"dataset is {self.dataset!r}, pdfs {self.pdfs!r} and questions {self.questions!r}, "
                "expected dataset, or pdfs with questions"
            )
        if self.name in DATASETS:
            raise ValueError(f"name is {self.name!r}, which is MMLongBench's and scored by its rule: choose another")


@dataclass(frozen=True)
class JudgeOptions:
    """
    A model that grades. Only answers to MMLongBench's questions and to others in its formats are of use to it.

    Args:
        endpoint (`EndpointOptions`): Which model, where; its temperature is not used.
        prompts (`str`, *optional*): Folder or file of prompts, as in
            [`~mmprolong_hf.evaluation.judge.load_judge_prompts`]; our own if not given.
        temperature (`float`): Of its sampling.
        max_usd (`float`, *optional*): It may cost so much.
    """

    endpoint: EndpointOptions
    prompts: str = str(OWN_PROMPTS)
    temperature: float = 0.0
    max_usd: float | None = None


@dataclass(frozen=True)
class EvaluationOptions:
    """
    A plan: which model answers which questions, and how.

    Args:
        model (`str`): Checkpoint folder or Hub id; with a server, of the processor that counts tokens.
        output (`str`): Folder of the run.
        engine (`str`): One of `ENGINES`.
        rope (`RopeOptions`, *optional*): The context extended without training.
        mmlongbench (`MMLongBenchOptions`, *optional*), documents (`tuple[DocumentsOptions, ...]`): What is asked.
        judge (`JudgeOptions`, *optional*): Grades beside the rules.
        pages (`str`): Folder of page images that were read or rendered; runs may share it.
        max_new_tokens (`int`): Longest answer.
        retry_failed (`bool`): Ask again what failed in this folder before.
        transformers, vllm, server: Of the engines.

    Raises:
        ValueError: for an unknown engine, one without its section, no room for an answer, or a plan that asks nothing.

    Example:

    ```python
    >>> documents = DocumentsOptions("mine", dataset="data/base", lengths=(8192,))
    >>> EvaluationOptions("outputs/run", "outputs/evaluation", documents=(documents,)).engine
    'transformers'
    >>> EvaluationOptions("outputs/run", "outputs/evaluation")
    Traceback (most recent call last):
    ...
    ValueError: the plan has neither mmlongbench nor documents, expected questions to ask

    ```
    """

    model: str
    output: str
    engine: str = "transformers"
    rope: RopeOptions | None = None
    mmlongbench: MMLongBenchOptions | None = None
    documents: tuple[DocumentsOptions, ...] = ()
    judge: JudgeOptions | None = None
    pages: str = "data/pages"
    max_new_tokens: int = MAX_NEW_TOKENS
    retry_failed: bool = False
    transformers: TransformersOptions = field(default_factory=TransformersOptions)
    vllm: VllmOptions = field(default_factory=VllmOptions)
    server: ServerOptions | None = None

    def __post_init__(self):
        if self.engine not in ENGINES:
            raise ValueError(f"engine is {self.engine!r}, expected one of {', '.join(ENGINES)}")
        if (self.server is not None) != (self.engine == "server"):
            raise ValueError(
                f"engine is {self.engine!r}, expected a section server with engine: server, and only then"
            )
        if self.server is not None and self.rope is not None:
            raise ValueError(
                "rope is given with a server, which has loaded its model: start the server with it instead"
            )
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}, expected at least 1")
        if self.mmlongbench is None and not self.documents:
            raise ValueError("the plan has neither mmlongbench nor documents, expected questions to ask")
        names = [documents.name for documents in self.documents]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"documents has {min(twice)!r} twice, expected a name for each")


def load_evaluation(path: str | Path, changes: Mapping | None = None) -> EvaluationOptions:
    """
    Read a plan. `extends: other.yaml` (beside it) is read first, and the plan says only what it changes.

    Args:
        path (`str` or `Path`): The YAML file.
        changes (`Mapping`, *optional*): Keys, with dots for sections (`"mmlongbench.max_questions"`), in place of the
            file's.

    Raises:
        ValueError: for an unknown key, with the nearest known one; a value of the wrong kind; a missing key.
    """
    return read_options(EvaluationOptions, change_values(read_yaml(Path(path)), changes or {}), str(path))


def _check_prompt_version(version: str) -> None:
    if version not in PROMPT_VERSIONS:
        raise ValueError(f"prompt_version is {version!r}, expected one of {', '.join(PROMPT_VERSIONS)}")
