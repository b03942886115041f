"""The report of a run: `finished` puts it together, of what `contents` chooses and the times of `stopwatch`, and `report` renders it;
`published` keeps and compares runs."""
