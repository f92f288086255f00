"""Metrics of predictions, from labels, logits and groups alone; nothing here knows of runs.

`threshold.decide` chooses a decision on validation, `part_metrics.compute` computes the metrics of
a part, `summary` gives them as numbers, rows and JSON. Each metric names its source where it is
computed.
"""
