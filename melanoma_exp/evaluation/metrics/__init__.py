"""What predictions are worth, from labels, logits and groups alone. No module here knows a run.

`threshold.decide` chooses on validation, `assessment.assess` judges a part, `summary` writes it
down. Every figure names its source where it is computed.
"""
