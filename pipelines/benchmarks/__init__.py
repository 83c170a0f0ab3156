"""What `python -m pipelines.benchmark` measures, a module each."""
