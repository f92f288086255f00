"""From recorded runs to a decision: which is better, by how much, and may one believe it?

`selection` says which runs, `reading` what they predicted, `rows` which of them are repeats of one
setup, `pairing` what the paired tests say, `verdict` what follows. `table`, `screen` and `page`
show it. Nothing here trains or changes a run.
"""
