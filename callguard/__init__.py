"""callguard: the consent gate for Asterisk."""

__version__ = "0.1.0"
