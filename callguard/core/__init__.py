"""What is decided. Pure: standard library only, no asyncio, clock, random or logging."""
