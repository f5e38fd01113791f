"""Programs with a face, each a client of the engine."""
