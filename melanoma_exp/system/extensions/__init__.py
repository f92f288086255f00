"""Options defined outside this package: in a user's own file, or in an installed package.

`extend=my_lab.py` imports a file (or a package's folder), as Python would import it from its own
folder. An installed package names a module in the entry point group `melanoma_exp`. Classes there
that derive from a group's base and have `kind: Literal["..."]` join the group; a folder `conf`
beside the file holds their YAMLs. Nothing that a run has recorded is ever imported by itself: the
user names the file again, and it must have the recorded digest.
"""
