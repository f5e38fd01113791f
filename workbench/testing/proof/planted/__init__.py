"""Planted bugs: each changes one thing in production code, and the proof must find it from outside.

A bug is a patch of a function or a constant of `workbench`, applied in a process of its own. The registry says which
invariant it breaks; `workbench prove --planted` plants each, runs seeds until one fails, and tells which.
"""
