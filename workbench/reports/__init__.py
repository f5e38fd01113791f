"""Driver: run report notebooks over the day's export."""
