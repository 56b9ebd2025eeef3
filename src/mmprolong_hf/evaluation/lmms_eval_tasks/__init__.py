"""Tasks of lmms-eval that ask what a plan asks: the same questions, words, pages and rules."""
