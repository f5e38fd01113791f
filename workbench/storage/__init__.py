"""Edge: what the engine process keeps. Journal (SQLite), tape (quotes and idle beats), ledger and day export.

Invariant: the journal is the truth; ledger and export are folded from it and never hold a number of their own.
"""
