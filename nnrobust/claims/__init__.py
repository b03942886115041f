"""The paper's sentences, judged.

Read `paper` (each sentence with its rule and its measure), `measures` and `zoo` (how a number is taken from a run), then
`judge` (the verdicts, the ledger).
"""
