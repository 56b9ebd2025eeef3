"""Metrics of the benchmarks: pure functions over text, importable without torch or a network."""
