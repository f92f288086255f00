"""Faults in the data that no training curve shows: duplicates, contradictions, unreadable files.

A finding is reported, never repaired here. Datasets open and group images; the audit reads their
survey.
"""
