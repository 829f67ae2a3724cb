"""`tcclip sweep`: many runs of one experiment."""
