"""A person grades a sample of a built set, in a browser and without a network, before the set is published."""
