"""Attacks on networks, and the checks that what they find has passed before it counts.

Read `victim` (the model under attack), `attack` (the attacks by name, the checks), then the attacks themselves; `batches` spreads
them over images and devices, `pairs` and `pretrained` say where victims come from, `verdicts` writes records.
"""
