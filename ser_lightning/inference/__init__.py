"""From finished runs to answers on recordings: without Lightning, Hydra and pandas, which take seconds to import."""
