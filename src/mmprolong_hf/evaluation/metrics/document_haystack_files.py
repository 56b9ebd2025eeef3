"""The files of Document Haystack: predictions, right answers and other words for them."""

import io
import re
from collections.abc import Iterable


def parse_aliases(text: str) -> dict[str, tuple[str, ...]]:
    """
    Other words from the benchmark's `aliases.txt`: each line has the secret in quotes, then its other words in quotes.

    Example:

    ```python
    >>> parse_aliases('"Car" "automobile" "motor car"')
    {'car': ('automobile', 'motor car')}

    ```
    """
    parts = [line.strip().split('"') for line in io.StringIO(text, newline=None)]
    return {words[1].lower(): tuple(filter(None, map(str.strip, words[2:]))) for words in parts if len(words) > 1}


def parse_predictions(text: str, *, upstream_compat: bool = False) -> list[list]:
    """
    The entries of a file of predictions: "#1", "Prompt: ..." and "Output: ..." on lines of their own.

    Args:
        text (`str`): The file. An output may go on over more lines, which are joined by spaces.
        upstream_compat (`bool`): Read as upstream: an empty output is read as part of the prompt, every line that
            begins with "#" must be a number, and text before the first of them is an error. By default only "#" and a
            number begin an entry, each entry has three parts and text before the first entry is left out.

    Returns:
        `list[list]`: Number, prompt and output of each entry.

    Raises:
        ValueError, IndexError, TypeError: with `upstream_compat`, where upstream does.

    Source: amazon-science/document-haystack 117560c, `parse_input_pred_file`.

    Example:

    ```python
    >>> parse_predictions("#1\\nPrompt: Which sport?\\nOutput: It is\\n# chess\\n#2\\nPrompt: And?\\nOutput:\\n")
    [[1, 'Which sport?', 'It is # chess'], [2, 'And?', '']]

    ```
    """
    lines = (line.strip() for line in io.StringIO(text, newline=None))
    return _upstream_predictions(lines) if upstream_compat else _predictions(lines)


def _predictions(lines: Iterable[str]) -> list[list]:
    entries = []
    for line in lines:
        number = re.fullmatch(r"#\s*(\d{1,18})", line)
        if number:
            entries.append([int(number[1]), "", ""])
            part = 1
        elif entries:
            if part == 1:
                line = line.removeprefix("Prompt:")
            if part == 1 and line.startswith("Output:"):
                part, line = 2, line.removeprefix("Output:")
            entries[-1][part] = f"{entries[-1][part]} {line.strip()}".strip()
    return entries


def _upstream_predictions(lines: Iterable[str]) -> list[list]:
    entries, entry = [], []
    for line in lines:
        if line.startswith("#"):
            if entry:
                entries.append(entry)
            entry = [int(line[1:])]
        elif line.startswith(("Prompt: ", "Output: ")):
            entry.append(line[len("Prompt: ") :].strip())
        elif line:
            entry[-1] += " " + line
    return [*entries, entry] if entry else entries


def extract_quoted(s: str) -> str | None:
    """
    The first text between two straight double quotes on one line, or `None`.

    Example:

    ```python
    >>> extract_quoted('The secret sport is "Basketball".')
    'Basketball'

    ```
    """
    found = re.search('"(.*?)"', s)
    return found[1] if found else None
