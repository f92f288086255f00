"""A finished run judged on another labelled set: a run of its own, made without training."""
