"""From a planned run to a finished one: the recognizer, its training, what it keeps, and many runs side by side."""
