"""How a dataset lies on disk: class folders, or a table that names the images."""
