"""The figures and the pages in a real browser."""
