"""The paper's sentences: `paper` has them, `measures` takes each one's number from a run, `judge` gives the verdict."""
