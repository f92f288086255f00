"""Datasets: where images, labels and groups come from."""
