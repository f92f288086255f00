"""Where a run is recorded: the options of the group and the MLflow code that does the work."""
