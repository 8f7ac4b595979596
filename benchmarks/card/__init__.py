"""Everything about SimAM that needs a CUDA card, in one command: see :mod:`benchmarks.card.__main__`."""
