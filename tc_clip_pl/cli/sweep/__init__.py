"""`tcclip sweep`: many runs of one experiment, joined in one table.

`plan` lists the runs, `runs` keeps the folder of each, `command` runs them in sequence, and `cluster` submits them as
jobs instead.
"""
