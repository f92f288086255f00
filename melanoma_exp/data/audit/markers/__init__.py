"""What is in a picture beside the lesion: rulers, ink, text, frames; and pictures of no lesion.

One module measures one marker in one image; `measured` does so for all files, `found` decides by
limits, and `per_class` counts: a marker that stands with one class is a shortcut for a network.
"""
