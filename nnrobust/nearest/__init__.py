"""The 1-nearest-neighbour classifier and its exact robustness.

Read `estimator` (the classifier) and `proof` (the certificate and its check). How a radius is found: `references` (distances,
the nearest reference), `screening` (bisector bounds), `radius` (the search), `problems` with `quadratic`, `interior`,
`halfspace` and `systems` (the convex problems). `certificate` bounds the radii of every pair of a dataset, with FAISS in
`neighbors`; `module` is the classifier in PyTorch, `remote` the products of `references` on a GPU; nothing else here imports
PyTorch.
"""
