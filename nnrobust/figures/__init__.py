"""One function a figure, from a table to a matplotlib figure; `gallery` draws all that a run has something for."""
