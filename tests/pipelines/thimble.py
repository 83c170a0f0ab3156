"""What makes a thimble of the default configuration, and where the repository is that it is made of."""

from pathlib import Path

from pipelines.soaks.thimble import THIMBLE

__all__ = ["ROOT", "THIMBLE"]
ROOT = Path(__file__).parents[2]
