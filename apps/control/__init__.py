"""The control app: a client of the engine's API, nothing else."""
