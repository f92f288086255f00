"""Which images are the same: fingerprints, near-duplicates and the survey of all files."""
