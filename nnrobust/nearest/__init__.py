"""Nearest-neighbour classifiers and their exact robustness.

Read `estimator` (the classifier), `arguments` (what callers pass, checked), `proof` (the certificate, the result), `checker`
and `rigorous` (how a certificate is checked), `digest` (what it is about), `storage` and `verification` (its file, written and
read). How a radius is found: `metric` (the space of distances), `references` (distances, the nearest reference), `screening`
with `between` (bisector bounds), `radius` (which search), `best_first` (few rivals) and `crowded` with `pairs` (many rivals,
few dimensions), `radii` and `answers` (what comes out of them), `problems` with `quadratic`, `polytopes`, `interior`, `plane`,
`halfspace` and `systems` (the convex problems), and for degenerate corners `careful` (other solvers) and `witness` (points that
win although rounding hides it).
`k_estimator` is the same for the vote of k references: `field` has all of them, `votes` the rules, `ruled_out` and
`voting_known` what can matter, `voting_descent`, `voting` and `voting_search` the search, with `voting_pairs` for its problems
and `voting_tree` for what it finds; `voting_proof` and `voting_checker` are its certificates. `neighborhood`: neighbours,
votes, scores of both.
`prototypes` makes other references than the training points, `projections` simple metrics, `metric_learning` learned ones;
`selection` chooses by exact robust accuracy. `certificate` bounds the radii of every pair of a dataset, with FAISS in
`neighbors`, class by class in worker processes by `by_class`, against `shards` of the references; `duplicates` finds images that
are nearly equal; `module` is the classifier in PyTorch, `remote` the products of `references` on a GPU; nothing else here
imports PyTorch.
"""
