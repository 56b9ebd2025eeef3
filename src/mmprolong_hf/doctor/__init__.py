"""`mmprolong doctor`: what a recipe runs with here, the proof of each, how fast it is, and what to change."""
