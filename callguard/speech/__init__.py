"""Prompt texts to audio, ahead of calls, never during one."""
