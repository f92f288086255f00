"""A search: a sweep whose jobs are asked for one by one, each by what earlier ones have shown.

Optuna draws the values (ask) and is told each job's score (tell); a job that is clearly behind the
others is given up between two epochs. Everything else is as in any sweep.
"""
