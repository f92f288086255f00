"""Fetches published sets: what is where, how it travels, and what is kept beside the images."""
