"""Metadata (age, sex, site, ...) as a second input of the network, off by default."""
