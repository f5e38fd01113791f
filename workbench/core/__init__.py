"""The words and rules of a trade. Pure: no input or output, no clock, no randomness, no threads."""
