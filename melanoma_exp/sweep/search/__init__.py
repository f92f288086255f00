"""A search: a sweep whose jobs are drawn one by one, from what earlier ones scored.

Optuna draws the values (ask) and is told each job's score (tell); a job that is clearly behind the
others is pruned between two epochs. Everything else is as in any sweep.
"""
