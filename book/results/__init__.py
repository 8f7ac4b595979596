"""The recorded runs of the book: one file a study, one line of JSON a run; installed as ``simam_edu.results``."""
