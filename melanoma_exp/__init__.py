"""Config-driven, leak-proof experiments on classifying skin lesions.

Research software, not a medical device.
"""

__version__ = "0.2.0"
