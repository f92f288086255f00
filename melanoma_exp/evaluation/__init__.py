"""What a trained model is worth: predictions, metrics, Grad-CAM and out-of-distribution scores."""
