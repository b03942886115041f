"""Nearest-neighbour classifiers and their exact robustness.

Read `estimator` (1NN), `arguments` (what callers pass, checked), then the packages, each of which imports from those before it:

- `proofs`: certificates, how they are checked, their files. Read it to audit a radius: it imports no search and no solver.
- `distances`: references, the space that distances are taken in, bounds for all references at once.
- `convex`: the convex problems that are left, and their solvers.
- `search`: from both to the exact radius of 1NN.
- `voting`: the same for the vote of k references, whose classifier is `k_estimator`.
- `dataset`: the radii of every pair of classes of a dataset, with FAISS, in worker processes.
- `learned`: other references than the training points, other metrics than that of pixels.

Beside `estimator`: `categories` (features that are no numbers), `pipelines` (steps before the classifier), `neighborhood`
(neighbours, votes, scores) and `module` (1NN in PyTorch, which only `distances.remote` imports too, where there is a GPU).
"""
