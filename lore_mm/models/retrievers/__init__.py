"""Image retrieval by the features of a backbone."""
