"""The page of a run: everything it recorded, as one self-contained HTML file."""
