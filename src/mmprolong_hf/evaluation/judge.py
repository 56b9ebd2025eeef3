"""A language model that grades answers: MMLongBench 1.1's `doc_qa_llm`, with words of our own or upstream's."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mmprolong_hf.evaluation.as_they_come import as_they_come
from mmprolong_hf.evaluation.metrics.judge_score import score
from mmprolong_hf.evaluation.metrics.score import Score
from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, ReplyCache, Request, RequestFailed

OWN_PROMPTS = Path(__file__).parent / "judge_prompts"
# sha256 of the prompts in EdinburghNLP/MMLongBench at 22b9f27, utils_prompt.py
OFFICIAL_BINARY = "8d7979f132139896c60904c6e41ed057941c82ad3aea5209fb65bbd38b7a0e8c"
OFFICIAL_LIST = "07509337721271e9445a9b55d37db8d4ccaf68b403158b90af3ac5c4473ab408"
OFFICIAL = "v1.1-official-prompt"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class JudgePrompts:
    """
    What a judge is told before the case that it grades.

    Args:
        binary (`str`): For an answer that is right or wrong; the reply holds `[JSON]: {"answer_score": 1}`, or 0.
        list (`str`): For a list; the reply holds `[JSON]: {"student_answer_count": 3, "covered_count": 2}`.

    Example:

    ```python
    >>> load_judge_prompts().version == "v1.1-official-prompt"
    False

    ```
    """

    binary: str
    list: str

    def of(self, answer_format: str) -> str:
        """The prompt for answers of a format: `"List"`, or another."""
        return self.list if answer_format == "List" else self.binary

    @property
    def version(self) -> str:
        """`"v1.1-official-prompt"` for upstream's two, by their sha256; else the beginnings of both sha256."""
        found = _sha256(self.binary), _sha256(self.list)
        return OFFICIAL if found == (OFFICIAL_BINARY, OFFICIAL_LIST) else f"{found[0][:8]}+{found[1][:8]}"


def load_judge_prompts(path: str | Path = OWN_PROMPTS) -> JudgePrompts:
    """
    Prompts from a folder with `binary.md` and `list.md`, or from `utils_prompt.py` of a checkout of MMLongBench.

    The case follows the last character of a file. Of a Python file nothing is run: its texts are read, and the official
    prompts are found by their sha256.

    Args:
        path (`str` or `Path`, *optional*): Folder or Python file; our own prompts if not given.

    Raises:
        ValueError: for a Python file without the official prompts.
        OSError: for a file that is not there.
    """
    path = Path(path)
    if path.suffix != ".py":
        return JudgePrompts(*((path / name).read_bytes().decode() for name in ("binary.md", "list.md")))
    nodes = ast.walk(ast.parse(path.read_bytes()))
    texts = {
        _sha256(node.value): node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    missing = [name for name, sha in (("binary", OFFICIAL_BINARY), ("list", OFFICIAL_LIST)) if sha not in texts]
    if missing:
        raise ValueError(
            f"{path} holds {len(texts)} texts, none with the sha256 of the official prompt ({', '.join(missing)}); "
            "to judge with other prompts, give a folder with binary.md and list.md"
        )
    return JudgePrompts(texts[OFFICIAL_BINARY], texts[OFFICIAL_LIST])


@dataclass(frozen=True)
class Case:
    """
    An answer to be graded.

    Args:
        id (`str`): The question's.
        question (`str`): As the model was asked it, with the document it names.
        answer (`str`): The right one; a `"List"` is written as JSON.
        prediction (`str`): What the model answered, without "Answer:".
        answer_format (`str`): `"List"`, or another.
    """

    id: str
    question: str
    answer: str
    prediction: str
    answer_format: str

    def prompt(self, prompts: JudgePrompts) -> str:
        """
        What the judge is sent, as one message (the form of EdinburghNLP/MMLongBench at 22b9f27).

        Example:

        ```python
        >>> print(Case("1", "How many?", "7", "seven", "Integer").prompt(JudgePrompts("Grade this.\\n", "")), end="")
        Grade this.
        [Current Case]
        <Question>: How many?
        <Standard Answer>: 7
        <Student Answer>: seven
        <BLANKLINE>

        ```
        """
        case = f"<Question>: {self.question}\n<Standard Answer>: {self.answer}\n<Student Answer>: {self.prediction}"
        return f"{prompts.of(self.answer_format)}[Current Case]\n{case}\n\n"


@dataclass(frozen=True)
class Verdict:
    """
    What a judge said of one answer, with what decides it.

    Args:
        id (`str`): The question's.
        score (`float`): 0 to 1; 0 where the judge failed, which `error` tells.
        error (`str`, *optional*): Why there is no proper score. It begins with a code that can be counted and a colon: the
            client's (`"timed_out"`, `"http_400"`, `"truncated"`, ...) or `"bad_reply"`. A score beyond 0 to 1 is clamped and
            has an error too.
        reply (`str`): The judge's, as it came.
        judge (`str`): Its model.
        temperature (`float`): Of its sampling.
        prompt_version (`str`): [`JudgePrompts.version`].
        prompt_sha256 (`str`): Of the prompt that was used, without the case.
    """

    id: str
    score: float
    error: str | None
    reply: str
    judge: str
    temperature: float
    prompt_version: str
    prompt_sha256: str


class Judge:
    """
    Grades answers with a model behind a server.

    Replies are kept on disk by everything that is sent, so a run that is repeated asks only what got no reply. A reply that cannot
    be used is kept too, and stays a failure.

    Args:
        options (`EndpointOptions`): Which model, where.
        replies (`ReplyCache`): What was said before; replies are added.
        prompts (`JudgePrompts`, *optional*): From [`load_judge_prompts`]; our own if not given.
        temperature (`float`, *optional*, defaults to `0.0`): In place of the options'.
        budget (`Budget`, *optional*): What may be spent; no limit if not given.

    Attributes:
        name (`str`): The model, its temperature and the prompts: scores with different names are not comparable.

    Example:

    ```python
    >>> judge = Judge(EndpointOptions("qwen", "http://localhost:8000/v1"), ReplyCache(":memory:"), JudgePrompts("b", "l"))
    >>> judge.name
    'qwen, temperature 0, prompt 3e23e816+acac86c0'

    ```
    """

    def __init__(
        self,
        options: EndpointOptions,
        replies: ReplyCache,
        prompts: JudgePrompts | None = None,
        *,
        temperature: float = 0.0,
        budget: Budget | None = None,
    ):
        self.options = replace(options, temperature=temperature)
        self.prompts = load_judge_prompts() if prompts is None else prompts
        self.name = f"{options.served_model}, temperature {temperature:g}, prompt {self.prompts.version}"
        self._endpoint = Endpoint(self.options, replies, Budget() if budget is None else budget)

    def verdicts(self, cases: Iterable[Case]) -> Iterator[Verdict]:
        """
        A verdict for each case, as they come.

        Args:
            cases (`Iterable[Case]`): Answers; one that failed needs no judge.

        Raises:
            EndpointRefused: when the server refuses the key, the account or its credit.
            BudgetSpent: when the next call could exceed the budget.
        """
        return as_they_come(self._endpoint, self._verdict, cases)

    async def _verdict(self, case: Case) -> Verdict:
        prompt_sha256 = _sha256(self.prompts.of(case.answer_format))
        request = Request(f"judge@{prompt_sha256}", (case.prompt(self.prompts),), None)
        reply = ""
        try:
            completion = await self._endpoint.complete(request)
            reply = completion.text
            found = score(case.answer, reply, case.answer_format)
            if found.error is not None:
                completion.reply(cached=True)  # raises where the reply was cut, filtered or empty: that is why
                found = Score(found.value, f"bad_reply: {found.error}")
        except RequestFailed as error:
            found = Score(0.0, str(error))
        about = self.options.served_model, self.options.temperature, self.prompts.version, prompt_sha256
        return Verdict(case.id, found.value, found.error, reply, *about)
