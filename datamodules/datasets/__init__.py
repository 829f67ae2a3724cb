"""One module per dataset: where its lists lie, and how its own annotations are read."""
