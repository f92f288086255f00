"""What a run shows: console output, figures, tables and the model card."""
