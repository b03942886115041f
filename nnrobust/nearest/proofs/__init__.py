"""What proves a radius, and its check: nothing here imports a search or a solver.

Read `proof` (the certificate of a radius, the result), `checker` with `rigorous` (how certificates are checked, rounding on
the safe side) and `halfspace` (what every lower bound comes down to); `digest` (what a certificate is about), `storage` and
`verification` (its file, written and read). `categorical_proof` is for features that are categories; `votes` (the rules),
`voting_proof` and `voting_checker` are for the vote of k references.
"""
