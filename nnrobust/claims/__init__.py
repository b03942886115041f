"""The paper's sentences: `paper` has them, `measures` and `zoo` take each one's number from a run, `judge` gives the verdict."""
