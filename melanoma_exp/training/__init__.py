"""Training: the options of the group `train` and the Keras code that does the work."""
