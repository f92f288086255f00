"""The drawn lesions of `dataset=demo`."""
