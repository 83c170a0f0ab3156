"""What `python -m pipelines.soak` puts to the test, a module each."""
