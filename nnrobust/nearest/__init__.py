"""The 1-nearest-neighbour classifier and its exact robustness.

Read `estimator` (the classifier), `arguments` (what callers pass, checked) and `proof` (the certificate and its check). How a
radius is found: `metric` (the space of distances), `references` (distances, the nearest reference), `screening` (bisector
bounds), `radius` (the search), `problems` with `quadratic`, `interior`, `halfspace` and `systems` (the convex problems).
`prototypes` makes other references than the training points, `projections` simple metrics, `metric_learning` learned ones;
`selection` chooses by exact robust accuracy. `certificate` bounds the radii of every pair of a dataset, with FAISS in
`neighbors`; `module` is the classifier in PyTorch, `remote` the products of `references` on a GPU; nothing else here imports
PyTorch.
"""
