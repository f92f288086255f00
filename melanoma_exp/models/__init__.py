"""Architectures: the options of the group and the Keras code that builds them."""
