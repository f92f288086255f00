"""What predictions are worth, from labels, logits and groups alone. No module here knows a run.

`threshold.decide` chooses on validation, `part_metrics.compute` judges a part, `summary` writes it
down. Every figure names its source where it is computed.
"""
