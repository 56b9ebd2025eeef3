"""Measuring what a checkpoint reads, and where in a long document it stops reading."""
