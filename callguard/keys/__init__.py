"""Keys, and files that are read by them alone: a master key's content keys, a content key's recordings."""
