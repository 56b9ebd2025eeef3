"""What `make demo` needs that no user brings: documents made in code, and a model small enough to train on two cores."""
