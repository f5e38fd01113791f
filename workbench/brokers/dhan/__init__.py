"""Edge: the Broker port on the official Dhan library."""
