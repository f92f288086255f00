"""What every package may use: files, cache, randomness, processes, provenance."""
