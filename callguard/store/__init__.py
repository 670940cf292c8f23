"""What is remembered."""

from callguard.store.reader import Reader
from callguard.store.store import Store
from callguard.store.writer import Fenced

__all__ = ["Fenced", "Reader", "Store"]
