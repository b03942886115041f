"""Linear classifiers with exact robustness: one trained against an adversary, and the radius of any.

Read `estimator` (what it offers), `radius` and `proof` (the radius of any linear classifier, and its check, on the exact signs of
`signs`). How a fit is proven to be near the optimum: `objective` (the worst-case loss and its dual), `norms`, `intercepts`,
`surrogates`, `solver` and `progress`. Adversaries, half-spaces, results and checks of arguments are those of `nnrobust.nearest`.
"""
