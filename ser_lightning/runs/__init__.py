"""One training is one run, in a folder named by its signature; many runs are a ledger."""
