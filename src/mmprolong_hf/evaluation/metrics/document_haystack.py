"""Document Haystack: secrets written into financial reports of 5 to 200 pages, found or not."""

from collections.abc import Mapping, Sequence
from math import ceil, floor

from mmprolong_hf.evaluation.metrics.needle import check_needle
from mmprolong_hf.evaluation.metrics.score import Score

# Other words for what a picture shows. These are this project's own; those of the benchmark itself are in its file
# `aliases.txt`, which `document_haystack_files.parse_aliases` reads.
ALIASES = {
    "airplane": ("plane", "aeroplane", "jet", "aircraft"),
    "bicycle": ("bike", "cycle"),
    "boat": ("ship", "sailboat"),
    "car": ("automobile", "vehicle"),
    "cat": ("kitty", "kitten", "feline"),
    "circle": ("round", "disc", "disk"),
    "cup": ("mug",),
    "dog": ("puppy", "pup"),
    "dollar": ("$", "usd"),
    "eiffel tower": ("Tour Eiffel",),
    "euro": ("€", "eur"),
    "hat": ("cap", "fedora"),
    "lamp": ("light", "lantern"),
    "pan": ("frying pan", "skillet"),
    "pants": ("trousers", "jeans"),
    "pound": ("£", "gbp"),
    "rabbit": ("bunny", "hare"),
    "ruble": ("₽", "rouble", "rub"),
    "soccer": ("football",),
    "sofa": ("couch",),
    "t-shirt": ("t shirt", "tshirt", "shirt", "top"),
    "train": ("locomotive",),
    "violin": ("fiddle",),
    "yen": ("¥", "jpy"),
    "yuan": ("renminbi", "rmb", "cny"),
}


def check_answer(
    needle: str,
    output: str,
    use_aliases: bool = False,
    *,
    aliases: Mapping[str, Sequence[str]] = ALIASES,
    upstream_compat: bool = False,
) -> int:
    """
    1 if the output names the secret, else 0.

    Args:
        needle (`str`): The secret's value.
        output (`str`): What the model answered.
        use_aliases (`bool`): Other words count too: for the secrets that are pictures.
        aliases (`Mapping[str, Sequence[str]]`): The other words of each value in lower case.
        upstream_compat (`bool`): Look for a substring, as upstream does: "car" is then found in "card". It puts the
            output and the value in lower case, but not the other words, so that one with a capital is never found. By
            default the value is found as words of its own ([`~mmprolong_hf.evaluation.metrics.needle.check_needle`]).

    Source: amazon-science/document-haystack 117560c, `src/evaluation/single_doc_evaluation_nova.py`.

    Example:

    ```python
    >>> check_answer("car", "a card"), check_answer("car", "a card", upstream_compat=True)
    (0, 1)
    >>> check_answer("Eiffel Tower", "La tour Eiffel", use_aliases=True)
    1

    ```
    """
    others = aliases.get(needle.lower(), ()) if use_aliases else ()
    if upstream_compat:
        return int(any(value in output.lower() for value in (needle.lower(), *others)))
    return check_needle(needle, output, others)


def bucket_accuracy(
    scores: Sequence[float],
    num_buckets: int = 10,
    pages: Sequence[int] | None = None,
    n_pages: int | None = None,
    *,
    upstream_compat: bool = False,
) -> list:
    """
    Mean score of each tenth (say) of a document.

    Args:
        scores (`Sequence[float]`): Of each secret.
        num_buckets (`int`): Number of equal parts.
        pages (`Sequence[int]`): The page of each secret, 1-based.
        n_pages (`int`): Pages in the document.
        upstream_compat (`bool`): Write "No scores" for a part without a secret, and raise where upstream does.

    Returns:
        `list`: A mean for each part; `None` for a part without a secret: not measured is not zero.

    Raises:
        ValueError: without a page inside the document for each score.
        AssertionError: with `upstream_compat`, if the parts' numbers of secrets differ by more than 1.
        TypeError, AssertionError, ValueError: with `upstream_compat`, without pages.

    Source: amazon-science/document-haystack 117560c, `calculate_bucket_accuracy`.

    Example:

    ```python
    >>> bucket_accuracy([1, 1, 0], 3, pages=[1, 2, 6], n_pages=6)
    [1.0, None, 0.0]

    ```
    """
    if upstream_compat:
        return _upstream_bucket_accuracy(scores, num_buckets, pages, n_pages)
    if (
        pages is None
        or n_pages is None
        or len(pages) != len(scores)
        or not all(1 <= page <= n_pages for page in pages)
    ):
        raise ValueError(
            f"pages is {pages} of {n_pages}, expected one from 1 to n_pages for each of {len(scores)} scores"
        )
    return [_mean(bucket) for bucket in _buckets(scores, num_buckets, pages, n_pages)]


def _buckets(scores: Sequence[float], num_buckets: int, pages: Sequence[int], n_pages: int) -> list[list[float]]:
    buckets = [[] for _ in range(num_buckets)]
    for value, page in zip(scores, pages):
        buckets[min(floor((page - 1) / (n_pages / num_buckets)), num_buckets - 1)].append(value)
    return buckets


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _upstream_bucket_accuracy(
    scores: Sequence[float], num_buckets: int, pages: Sequence[int] | None, n_pages: int | None
) -> list:
    if pages is None or n_pages is None:
        raise _upstream_position_error(scores, num_buckets)
    buckets = _buckets(scores, num_buckets, pages, n_pages)
    sizes = [len(bucket) for bucket in buckets]
    if sum(sizes) != len(scores) or max(sizes) - min(sizes) > 1:
        raise AssertionError(
            f"the parts hold {sizes} of {len(scores)} scores, expected sizes that differ by at most 1"
        )
    return [_mean(bucket) if bucket else "No scores" for bucket in buckets]


def _upstream_position_error(scores: Sequence[float], num_buckets: int) -> Exception:
    """Upstream counts the elements of the last part's scores, which are numbers: it fails one way or another."""
    message = "pages and n_pages are missing, expected the page of each score and the number of pages"
    if scores[(num_buckets - 1) * ceil(len(scores) / num_buckets) :]:
        return TypeError(message)
    return AssertionError(message) if scores else ValueError(message)


def score(gold: str, prediction: str, use_aliases: bool = False) -> Score:
    """
    [`check_answer`] as a score. The runner calls this.

    Args:
        gold (`str`): The secret's value.
        prediction (`str`): What the model answered.
        use_aliases (`bool`): As in [`check_answer`].

    Example:

    ```python
    >>> score("Basketball", "The secret sport is basketball.")
    Score(value=1.0, error=None)

    ```
    """
    return Score(float(check_answer(gold, prediction, use_aliases)))
