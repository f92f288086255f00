"""How the learning rate changes over training, and how to find it."""
