"""What worker processes are forked with, so that none of them loads it again: the stages, and the model that tells languages."""

from . import stages  # noqa: F401
from .pool.language import load_identifier

load_identifier()
