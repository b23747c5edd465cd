"""Readers of corpora and the synthetic voices."""
