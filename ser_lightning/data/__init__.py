"""Who trains, who tests, in which batches."""
