"""Faults in the data that no training curve shows: what is doubled, contradictory or unreadable.

A finding is reported, never mended here. Opening and grouping images are the dataset's matter; the
audit reads what its survey found out.
"""
