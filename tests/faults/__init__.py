"""A campaign of faults: odd inputs, damaged files, failing system calls; `make faults` counts how they end."""
