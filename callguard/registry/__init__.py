"""National lists of numbers that may not be called: kept as files apart from the store, swapped in while calls run."""
