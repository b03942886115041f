"""From bounds on all references to the exact radius of 1NN.

Read `radius` (which search), `best_first` (few rivals) and `crowded` with `pairs` (many rivals, few dimensions), `radii`
and `answers` (what comes out of them), and `witness` (points that win although rounding hides it).
"""
