"""A private Asterisk and real SIP callers, for demo and tests."""
