"""Labelled images: read by `sources`, kept, capped and paired by `datasets`."""
