"""From recorded runs to a decision: which setup is better, by how much, and is it credible?

`selection` picks the runs, `predictions` reads what they predicted, `rows` groups repeats of one
setup, `pairing` runs the paired tests, `verdict` draws the conclusion with its `caveats`. `table`,
`comparison_html` and `output` show it. Nothing here trains or changes a run.
"""
