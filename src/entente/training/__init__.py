"""Training: loss, schedule, data and the Lightning module."""
