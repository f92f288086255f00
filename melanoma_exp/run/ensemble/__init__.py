"""An ensemble of finished runs: a run of its own, made without training."""
