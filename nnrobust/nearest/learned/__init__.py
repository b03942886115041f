"""Other references and metrics for 1NN, chosen by exact robust accuracy on points that they were not made from.

`prototypes` makes references, `projections` simple metrics, `metric_learning` learned ones; `selection` chooses.
"""
