"""Extend Qwen2.5-VL and Qwen3-VL to 128K-token contexts by training on long-document question answering."""

__version__ = "0.1.0"
