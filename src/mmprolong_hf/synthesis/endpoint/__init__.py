"""Models behind an OpenAI-compatible server: requests, replies on disk, a budget, batch files."""

from .batch_export import BatchExport, Pending
from .batch_import import BatchReport, import_batch
from .budget import Budget, BudgetSpent
from .client import Endpoint, EndpointRefused
from .ledger import read_bills
from .options import EndpointOptions
from .replies import Reply, ReplyCache, RequestFailed
from .request import Request
from .summary import Summary

__all__ = [
    "BatchExport",
    "BatchReport",
    "Budget",
    "BudgetSpent",
    "Endpoint",
    "EndpointOptions",
    "EndpointRefused",
    "Pending",
    "Reply",
    "ReplyCache",
    "Request",
    "RequestFailed",
    "Summary",
    "import_batch",
    "read_bills",
]
