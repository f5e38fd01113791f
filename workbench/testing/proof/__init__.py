"""The proof: engine, runner, webhook door, a virtual disk, a virtual clock and a faulty venue in one process, by seed.

Every step of a day is judged from outside: against the venue's own book, the journal's entries and what was sent. One
seed is one day, the same each time. `python -m workbench.testing.proof` runs seeds, kills and planted bugs
(docs/proof.md); production never imports it.
"""
