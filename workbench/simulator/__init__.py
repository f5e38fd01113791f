"""Edge: an independent broker that speaks Dhan's wire over the core's matching rules."""
