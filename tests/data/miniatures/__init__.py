"""Small data sets in the true formats, made up from random numbers."""
