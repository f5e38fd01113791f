"""Strategies, one a file. Pure: frames of bars in, frames of signals out."""
