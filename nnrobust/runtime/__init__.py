"""How the work runs: processes and what they write, devices and workers, memory, time, where a run comes from.

Read `process` (a stage's life) and `warm` (its libraries), `outputs` and `store` (files that are whole or absent), `seals` (their
hashes), `machine` (the device), then the rest.
"""
