"""Publishing to the Hub: data sets and checkpoints, their cards, and the way back."""
