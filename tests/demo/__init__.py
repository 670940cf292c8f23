"""The workshop: private Asterisk, callers, agent, tone checker."""
