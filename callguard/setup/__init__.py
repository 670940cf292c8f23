"""A first configuration: what `callguard init` asks, writes and, when told to, changes in Asterisk's own files."""
