"""What must be true of a table, and of a model; the only folder that knows Great Expectations."""
