"""Networks of others: their layers, the scaling of their pixels, their published weights."""
