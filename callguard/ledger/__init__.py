"""The ledger's other half: keys, checkpoints and where they go, and the looking for what was done to a store."""
