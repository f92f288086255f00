"""How an image is varied: the options of the group and the modules that do the work."""
