"""The exact radius of the vote of k references.

Read `radius` (the search of one query) with `descent` (the way to its first lost point), `pairs` (its problems) and `tree`
(what it finds), `search` (blocks of queries), `field` (all references of a classifier), `ruled_out` and `known` (which of
them can matter).
"""
