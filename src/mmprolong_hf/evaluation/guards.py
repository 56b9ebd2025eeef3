"""What strategies that read nothing would score on the same questions, and whether a model's answers look like one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mmprolong_hf.evaluation.metrics.mmlongbench_text import extract_number_list
from mmprolong_hf.evaluation.scoring_run import ScoreRecord, parsed_answer, score_by_rule
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE

NUMBERS = " ".join(str(number) for number in range(101))
# The name that reports give a strategy, and what it answers to a question.
STRATEGIES: dict[str, Callable[[str], str]] = {
    "not answerable": lambda question: NOT_ANSWERABLE,
    "0 to 100": lambda question: NUMBERS,
    "both": lambda question: f"{NOT_ANSWERABLE} {NUMBERS}",
    "nothing": lambda question: "",
    "the question": lambda question: question,
}
# An answer with so many more numbers or words than the right one is no answer but a search for points.
SPARE_NUMBERS, SPARE_WORDS = 10, 100
MOST_SPRAYS = 0.05  # of the answers


def score_strategies(answers: Sequence[Mapping]) -> dict[str, list[ScoreRecord]]:
    """
    The scores of strategies that need no page, by the rule of each dataset.

    Args:
        answers (`Sequence[Mapping]`): Records of `answers.jsonl`; only their questions and right answers count.

    Returns:
        `dict[str, list[ScoreRecord]]`: A strategy's name -> the score of each question.

    Example:

    ```python
    >>> answer = {"id": "1", "key": "k", "dataset": "slidevqa", "context_length": 65536, "prompt_version": "v1.1"}
    >>> answer |= {"question": "How many?", "answer": "42", "answer_format": "Integer"}
    >>> {name: records[0].score for name, records in score_strategies([answer]).items()}
    {'not answerable': 0.0, '0 to 100': 1.0, 'both': 1.0, 'nothing': 0.0, 'the question': 0.0}

    ```
    """
    return {
        name: score_by_rule(
            {**answer, "answer_start": "", "prediction": strategy(answer["question"]), "error": None}
            for answer in answers
        )
        for name, strategy in STRATEGIES.items()
    }


@dataclass(frozen=True)
class Wordiness:
    """
    How much a model says, beside how much the right answers do.

    Args:
        mean_words, mean_numbers (`float`): Of an answer.
        gold_words, gold_numbers (`float`): Of a right answer.
        num_sprays (`int`): Answers with [`SPARE_NUMBERS`] numbers or [`SPARE_WORDS`] words more than the right one.
        num (`int`): Answers.
    """

    mean_words: float
    mean_numbers: float
    gold_words: float
    gold_numbers: float
    num_sprays: int
    num: int

    @property
    def suspicious(self) -> bool:
        """Are there more sprays than chance and lists explain? A rule metric then rewards what is no answer."""
        return self.num_sprays > MOST_SPRAYS * self.num


def measure_wordiness(answers: Sequence[Mapping]) -> Wordiness:
    """
    Count the words and numbers of a model's answers.

    Args:
        answers (`Sequence[Mapping]`): Records of `answers.jsonl`; at least one.

    Example:

    ```python
    >>> found = measure_wordiness([{"answer": "42", "answer_start": "", "prediction": "1 2 3 4 5 6 7 8 9 10 11 12"}])
    >>> found.num_sprays, found.suspicious
    (1, True)

    ```
    """
    said = [_counts(parsed_answer(answer)) for answer in answers]
    gold = [_counts(answer["answer"]) for answer in answers]
    sprays = sum(
        numbers >= right_numbers + SPARE_NUMBERS or words >= right_words + SPARE_WORDS
        for (words, numbers), (right_words, right_numbers) in zip(said, gold)
    )
    means = [sum(column) / len(answers) for column in (*zip(*said), *zip(*gold))]
    return Wordiness(*means, num_sprays=sprays, num=len(answers))


def _counts(text: str) -> tuple[int, int]:
    return len(text.split()), len(extract_number_list(text))
