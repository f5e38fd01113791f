"""Driver: backtest, replay, tuning, checks, parity and promotion."""
