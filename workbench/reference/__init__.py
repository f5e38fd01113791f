"""Dated tables of sessions, contracts and charges, looked up by date; unknown means refuse."""
