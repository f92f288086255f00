"""Score intervals: of proportions and their means, and of areas under ROC curves."""
