"""The command `nnrobust`."""
