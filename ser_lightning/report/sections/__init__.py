"""The sections of a report, a file each: from a study's `Material` to a `Section`, or None where it has no material."""
