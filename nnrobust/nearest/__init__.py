"""The 1-nearest-neighbour classifier and its exact robustness.

Read `estimator` (what it offers) and `proof` (what is proven, and the check). How a radius is found: `references` and
`neighbors` (distances), `screening` (bisector bounds), `radius` (the search), `problems` with `quadratic`, `interior`,
`halfspace` and `systems` (the convex problems). `certificate` does the same for every pair of a
dataset; `module` is the classifier in PyTorch, `remote` the products of `references` on a GPU; nothing else here imports PyTorch.
"""
