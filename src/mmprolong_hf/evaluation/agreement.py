"""Do two ways of scoring agree on which answers are right?"""

from collections.abc import Mapping
from dataclasses import dataclass

RIGHT = 0.5  # a score from here on says that the answer is right


@dataclass(frozen=True)
class Agreement:
    """
    How far a judge and a rule agree.

    Args:
        num_questions (`int`): Scored by both.
        num_unjudged (`int`): Scored by the rule alone.
        share (`float`): Part of `num_questions` where both say right or both say wrong.
        kappa (`float`, *optional*): Cohen's; `None` where it is not defined, because both say the same of every question.
        judge_only (`tuple[str, ...]`): Questions that only the judge calls right.
        rule_only (`tuple[str, ...]`): Questions that only the rule calls right.
    """

    num_questions: int
    num_unjudged: int
    share: float
    kappa: float | None
    judge_only: tuple[str, ...]
    rule_only: tuple[str, ...]


def compare_with_rule(judge: Mapping[str, float], rule: Mapping[str, float]) -> Agreement:
    """
    Agreement of a judge's scores with a rule's, each taken as right from 0.5 on.

    Kappa is (share - chance) / (1 - chance), where chance is the share that two scorers who call as many answers right, but each
    at random, would agree on (Cohen, "A coefficient of agreement for nominal scales", 1960).

    Args:
        judge (`Mapping[str, float]`): A question's id -> score, without those where the judge failed.
        rule (`Mapping[str, float]`): The same of the rule, for at least these questions.

    Raises:
        ValueError: when no question is judged, or one has no score by the rule.

    Example:

    ```python
    >>> found = compare_with_rule({"a": 1, "b": 1, "c": 0, "d": 0}, {"a": 1, "b": 0.4, "c": 0, "d": 0, "e": 1})
    >>> found.share, found.kappa, found.judge_only, found.rule_only, found.num_unjudged
    (0.75, 0.5, ('b',), (), 1)

    ```
    """
    if not judge:
        raise ValueError("no question is judged, expected scores of at least one")
    if missing := judge.keys() - rule.keys():
        raise ValueError(f"{len(missing)} judged questions, {min(missing)!r} first, have no score by the rule")
    pairs = {id: (judge[id] >= RIGHT, rule[id] >= RIGHT) for id in judge}
    num = len(pairs)
    judge_only = tuple(id for id, pair in pairs.items() if pair == (True, False))
    rule_only = tuple(id for id, pair in pairs.items() if pair == (False, True))
    num_same = num - len(judge_only) - len(rule_only)
    num_judge, num_rule = (sum(pair[side] for pair in pairs.values()) for side in (0, 1))
    # num * num times the chance, in whole numbers
    by_chance = num_judge * num_rule + (num - num_judge) * (num - num_rule)
    kappa = None if by_chance == num * num else (num_same * num - by_chance) / (num * num - by_chance)
    return Agreement(num, len(rule.keys() - judge.keys()), num_same / num, kappa, judge_only, rule_only)
