"""1NN on the images of a dataset: every pair of classes, and all classes.

Read `certificate` (all bounds and radii), `neighbors` (the nearest, by FAISS), `by_class` (the work in parts) with `shards`
(parts of the references), and `duplicates` (test images that are nearly training images).
"""
