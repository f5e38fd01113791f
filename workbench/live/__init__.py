"""Driver: the engine process, its runner, sources, schedule, webhook and API."""
