"""Training of one network for each pair.

Read `tasks` (tasks and results), `train` (groups, resume, retry), `epoch` (one epoch of a group), `losses`; `validation` scores
held-out images, `search` chooses hyperparameters, `outcomes` tells how it ended.
"""
