"""Runnable stories on real data: ``python -m examples.digits_cnn``, ``python -m examples.edges``."""
