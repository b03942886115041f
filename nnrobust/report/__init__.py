"""The report of a run: `contents` chooses what is in it, `report` renders it; `published` keeps and compares runs."""
