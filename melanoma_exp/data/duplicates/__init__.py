"""Which images show the same picture: fingerprints, near-duplicates and the survey of all files."""
