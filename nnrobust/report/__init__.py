"""The report of a run: `finished` puts together what `contents` chooses and the times of `stopwatch`, `report` renders it;
`published` keeps and compares runs."""
