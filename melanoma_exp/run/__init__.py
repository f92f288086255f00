"""One run from top to bottom: data module, training, recorder, resuming."""
