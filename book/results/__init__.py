"""The recorded runs of the book, one line of JSON each; installed as ``simam_edu.results``."""
