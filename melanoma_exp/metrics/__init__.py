"""What predictions are worth, from labels and probabilities alone. No module here knows a run."""

from melanoma_exp.metrics.classes import ClassTable, class_auc, class_table, scores

__all__ = ["ClassTable", "class_auc", "class_table", "scores"]
