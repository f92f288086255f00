"""Averages of the weights that training passes through, which are evaluated instead of them."""
