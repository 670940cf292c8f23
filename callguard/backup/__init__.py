"""Backups: what is needed to go on after this machine is lost, in one encrypted file, and back from it."""
