"""PDFs to question-answer datasets. Nothing here imports torch, transformers or trl."""
