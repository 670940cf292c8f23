"""Bare gates to compare with: answer, play, one key, set a variable, go on. No consent, no evidence, no store."""
