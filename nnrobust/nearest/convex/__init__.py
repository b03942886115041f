"""The convex problems of a search: the shortest step to where one reference, or some, are nearer than others.

Read `problems` (those of a rival each), `polytopes` (the point of least norm in each of many polytopes) with `quadratic`
and `interior` (the solvers) and `systems` (their linear systems), `plane` (two dimensions), and `careful` (degenerate
problems once more, by other solvers).
"""
