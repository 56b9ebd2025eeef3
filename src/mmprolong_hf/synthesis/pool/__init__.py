"""The pool: which of many PDFs are fit to be asked about. Scanned one by one, then chosen together."""
