"""Transfer learning: heads on precomputed features, and fine-tuning layer by layer."""
