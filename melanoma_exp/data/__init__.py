"""From image files to batches: samples, datasets, splits, balancing, audit and the loader."""
