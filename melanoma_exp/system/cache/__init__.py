"""What is made once and kept between runs: decoded images, children, surveys, audits, the demo set.

`entry.obtain` gives an entry, making it where it is missing or damaged; `upkeep` lists, checks and
removes entries. An entry is a folder `KIND/KEY` below the cache's folder.
"""
