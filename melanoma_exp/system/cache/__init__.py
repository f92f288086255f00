"""What is made once and reused by later runs: decoded images, children, fingerprints, audits, demo.

`entry.obtain` returns an entry, making it where it is missing or damaged; `maintenance` lists,
checks and removes entries. An entry is a folder `KIND/KEY` below the cache's folder.
"""
