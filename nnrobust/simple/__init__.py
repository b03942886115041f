"""The simple classifiers with exact robustness that are measured beside 1NN, as params describe them.

Read `fitted` (from a block of params to a classifier, and how near its fit is to the optimum), `measured` (its radii, checked,
and the records of them), then `problem` (both for a pair or all classes). The classifiers are those of `nnrobust.linear` and
`nnrobust.nearest`.
"""
