"""A trade is one line with one loop: core knows the line, the edges know the world, and nothing else may know both."""

__version__ = "0.1.0"
