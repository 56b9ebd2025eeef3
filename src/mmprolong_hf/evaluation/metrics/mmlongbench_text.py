"""What MMLongBench's rule metrics read out of a text (EdinburghNLP/MMLongBench at 22b9f27, utils.py)."""

import math
import re
import string

# In this order and once each, so that "3 miles million" keeps its "miles".
_UNITS = ["kg", "meters", "acres", "minutes", "miles", "mile", "feet", "million", "thousand", "billion", "mm", "m"]
_OUTER_QUOTES = re.compile(r"^['\"]|['\"]$")
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?|-?\.\d+")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_EXACT = re.compile(
    r"\d+(?:[-\s]\d+)?"  # a number, or two as in a telephone number
    r"|\d{4}[-/\s]\d{1,2}(?:[-/\s]\d{1,2})?"  # 2019-05, 2019-05-01
    r"|\d{1,2}[-/\s]\d{1,2}[-/\s]\d{2,4}"  # 01/05/2019
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
)


def parse_output(output: str, prefix: str = "Answer:") -> str:
    """
    What stands after the first prefix, in any case and over several lines, without a second prefix right behind it;
    all of the output where there is no prefix.

    Args:
        output (`str`): What the model wrote.
        prefix (`str`): What the prompt asks answers to begin with.

    Example:

    ```python
    >>> parse_output("So the answer: Answer: 42 "), parse_output(" 42")
    ('42', '42')

    ```
    """
    found = re.search(re.escape(prefix), output, re.IGNORECASE)
    if found is None:
        return output.strip()
    answer = output[found.end() :].strip()
    return re.sub(f"^{re.escape(prefix)}", "", answer, flags=re.IGNORECASE).strip()


def get_docqa_clean_string(s: object) -> str:
    """
    A text in lower case, without commas, units, a quote at each end, currency and percent signs at the ends.

    The units go one after the other whatever they end, so that "form" becomes "for" and "5 cm" becomes "5 c".

    Example:

    ```python
    >>> get_docqa_clean_string("$1,200 million"), get_docqa_clean_string("form")
    ('1200', 'for')

    ```
    """
    text = str(s).lower().strip().replace(",", "")
    for unit in _UNITS:
        text = text.removesuffix(unit).strip()
    text = _OUTER_QUOTES.sub("", text).strip()
    for sign in "$£%":
        text = text.strip(sign).strip()
    return text


def extract_number_list(s: str) -> list[float]:
    """
    All finite numbers of a text, after its commas are deleted: "2-3" holds 2 and -3, and "1,2" holds 12.

    Example:

    ```python
    >>> extract_number_list("1,234.5 and 2-3")
    [1234.5, 2.0, -3.0]

    ```
    """
    return [number for number in map(float, _NUMBER.findall(s.replace(",", ""))) if math.isfinite(number)]


def need_exact_match_check(s: str) -> bool:
    """
    Whether a right answer must be found letter by letter: an address, a file, a page, a number, a date or a time.

    Example:

    ```python
    >>> need_exact_match_check("page 3"), need_exact_match_check("2019/05"), need_exact_match_check("page_rank.pyc")
    (True, True, True)
    >>> need_exact_match_check("Page 3")
    False

    ```
    """
    return (
        "https://" in s
        or s.endswith((".py", ".ipynb"))
        or s.startswith("page")
        or "a.m." in s
        or "p.m." in s
        or _EXACT.fullmatch(s) is not None
    )


def get_str_type(s: str) -> str:
    """
    The answer format that an item of a list is scored as: `"Integer"`, `"Float"` or `"String"`.

    Example:

    ```python
    >>> get_str_type("12 miles"), get_str_type("12%"), get_str_type("twelve")
    ('Integer', 'Float', 'String')

    ```
    """
    try:
        number = float(get_docqa_clean_string(s))
    except ValueError:
        return "String"
    if not math.isfinite(number):
        return "String"
    return "Integer" if number.is_integer() and "%" not in s else "Float"


def normalize_answer(s: str) -> str:
    """
    A text in lower case without punctuation, articles and runs of white space.

    Example:

    ```python
    >>> normalize_answer("The U.S.A.,  a state-of-the-art")
    'usa stateoftheart'

    ```
    """
    return " ".join(_ARTICLES.sub(" ", s.lower().translate(_NO_PUNCTUATION)).split())
