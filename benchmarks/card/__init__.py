"""Everything about SimAM that needs a CUDA card, in one command: see :file:`__main__.py`."""
