"""Commands about runs that are recorded: what they were, and where to look at them."""
