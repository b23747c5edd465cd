"""The kinds of corpora that can be imported: a reader each."""
