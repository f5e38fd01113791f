"""Edge: history, live feed, instrument master, bar store and imports."""
