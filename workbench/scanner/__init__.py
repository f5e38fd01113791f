"""Driver: rank instruments by what they did, on stored bars."""
