"""Robustness of the 1-nearest-neighbour classifier against adversarially trained networks (arXiv 2404.06313)."""
