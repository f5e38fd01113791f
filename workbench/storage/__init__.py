"""Edge: journal, ledger and tape."""
