"""Data sets, metrics, statistics, comparisons, gates and the report."""
