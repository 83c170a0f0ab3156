"""Decoding: from a network's next-word scores to sentences."""
