"""The part of a card's metadata that depends on what is in the set, as the Hub spells it."""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from .report import BuildReport
from .short_context import SHORT_TASK

LICENSES = Path(__file__).parent / "templates" / "hub_licenses.yaml"
# Where the card lists them; publishing puts the repository's id in the place of PATH_OR_ID
LICENSE_LINK = "https://huggingface.co/datasets/PATH_OR_ID#licences"
UNKNOWN_LANGUAGES = ("", "und")
SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
MANY = 1_000


def license_metadata(licenses: Mapping[str, int], *, others: bool = False) -> dict[str, str]:
    """
    `license` and, where the Hub has no word for it, `license_name` and `license_link`.

    Args:
        licenses (`Mapping[str, int]`): Licence as the list of PDFs tells it ("" where it does not) -> documents.
        others (`bool`, *optional*, defaults to `False`): Whether the set holds anything beside these documents.

    Example:

    ```python
    >>> license_metadata({"CC BY 4.0": 7})
    {'license': 'cc-by-4.0'}
    >>> license_metadata({"GPL-2+": 7})["license_name"]
    'gpl-2'
    >>> license_metadata({"CC BY 4.0": 7, "": 1})["license"]
    'other'

    ```
    """
    names = {re.sub(r"[^a-z0-9.+]+", "-", told.lower()).strip("-") for told in licenses}
    (name,) = names if len(names) == 1 and not others else ("",)
    if name in yaml.safe_load(LICENSES.read_text(encoding="utf-8")):
        return {"license": name}
    name = name.rstrip("+") or "licences-of-the-source-documents"
    return {"license": "other", "license_name": name, "license_link": LICENSE_LINK}


def size_category(rows: int) -> str:
    """
    The Hub's word for a number of rows.

    Example:

    ```python
    >>> size_category(999), size_category(1000), size_category(2_500_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')

    ```
    """
    if rows < MANY:
        return f"n<{SIZES[0]}"
    place = min(len(str(rows)) - len(str(MANY)), len(SIZES) - 1)
    return f"{SIZES[place]}<n<{SIZES[place + 1]}" if place + 1 < len(SIZES) else f"n>{SIZES[place]}"


def set_metadata(report: BuildReport) -> str:
    """
    The lines of YAML that differ from set to set, but for the configs.

    Args:
        report (`BuildReport`): Of the build.
    """
    languages = sorted({"en", *report.languages} - set(UNKNOWN_LANGUAGES))  # the questions are in English
    metadata = {
        "language": languages,
        **license_metadata(report.licenses, others=SHORT_TASK in report.short),
        "size_categories": [size_category(sum(report.rows.values()))],
    }
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).rstrip()
