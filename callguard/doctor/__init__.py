"""What is wrong with this PBX and how to mend it: gathered (probe), held still (facts), judged (checks)."""
