"""Edge: one package for each broker, behind the Broker port."""
