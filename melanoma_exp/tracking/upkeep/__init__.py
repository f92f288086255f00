"""A store seen and kept by people: its pages, and what is deleted from it."""
