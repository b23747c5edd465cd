"""What came out: Arrow tables, Polars summaries, statistics, charts, pages."""
