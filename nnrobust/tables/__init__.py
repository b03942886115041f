"""Records turned into tables: `accuracy` of each classifier, `comparison` between them, the `zoo`, and all `runs` left."""
