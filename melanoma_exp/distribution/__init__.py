"""Training on several devices, processes and machines: `spec.py` has the options."""
