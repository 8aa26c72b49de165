"""phistar compiles equations into training programs."""

__version__ = "0.1.0"
