"""Any classifiers on the same images, under the same threat models, in one table.

Read `evaluate` (the function), `arguments` (what it takes), `classifiers` (how each kind of classifier is judged), `result`,
`page`.
"""
