"""Any classifiers on the same images, under the same threat models, in one table.

Read `evaluate` (the function), `data` and `arguments` (what it takes), `classifiers` (how each kind is judged), `result`, `page`.
"""
