"""References and queries: which are near, and how near at least.

Read `references` (distances with a bound on their error, the nearest reference; products on a GPU are in `remote`),
`metric` (the space that distances are taken in) with `weighted` (features in other units), `screening` with `between`
(bisector bounds), `measured` (distances of queries, taken once) and `facing` (one class against all others).
"""
