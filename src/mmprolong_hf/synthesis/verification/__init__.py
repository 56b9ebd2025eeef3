"""Checks of questions before they are published: without a model in checks.py, by a second model in judge.py."""

from .checks import check
from .document_text import DocumentText, read_second
from .judge import JudgeOptions, examine
from .options import VerifyOptions
from .verdict import Verdict, failed
from .views import shown_pages, views

__all__ = [
    "DocumentText",
    "JudgeOptions",
    "Verdict",
    "VerifyOptions",
    "check",
    "examine",
    "failed",
    "read_second",
    "shown_pages",
    "views",
]
