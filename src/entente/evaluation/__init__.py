"""Evaluation: scores, probes and attention maps."""
