"""The paper's sentences, judged, and the controls beside them.

Read `paper` (each sentence with its rule and its measure), `measures` and `zoo` (how a number is taken from a run), `controls`
(1NN against other simple classifiers), then `judge` (the verdicts, the ledger).
"""
