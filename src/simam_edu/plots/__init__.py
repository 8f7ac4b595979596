"""The figures of the book, a module for each chapter; each function returns a matplotlib ``Figure``."""
