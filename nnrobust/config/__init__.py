"""`params.yaml` as typed values: imports neither numpy nor torch, and no stage depends on it, only on the values themselves.

Read `params` (the file as a whole), `blocks` (its parts), `recipes` (how a network is trained), `rosters` (names of models).
"""
