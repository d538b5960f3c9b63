"""The rows of the table of benchmarks, by group."""
