"""Edge: history, live feed, instrument master, bar store and imports.

Reading order: `frames` (what a bar frame is, aggregation) · `bar_store` (Parquet by month) · `bar_text` (reading CSV
and text) · `importer` and `import_report` (what is kept and why) · `instruments` (the broker's master) · `sample`
(generated bars).
"""
