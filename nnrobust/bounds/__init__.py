"""Certified robustness of networks: lower bounds on the margins of ReLU networks over a ball, by linear bounds.

Read `layers` (a network as a chain that bounds go through), `backward` (the bounds), `margins` (those of images' labels over all
other classes), then `records` (what they say of images that were attacked).
"""
