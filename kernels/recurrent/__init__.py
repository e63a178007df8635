"""Recurrent networks: gates, and sequences of them."""
