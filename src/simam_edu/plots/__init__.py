"""The figures of the book, a module per chapter; each function returns one."""
