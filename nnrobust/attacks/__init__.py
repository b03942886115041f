"""Attacks on networks, and the checks that each candidate passes before it counts.

Read `victim` (the model under attack), `attack` (the attacks by name, the checks), then the attacks themselves, `gradient` and
`libraries`; `batches` spreads them over images and devices, `pairs` and `pretrained` give victims, `verdicts` writes records.
"""
