"""Teachers: whoever asks the questions. The extractive one needs no model."""
