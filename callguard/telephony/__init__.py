"""Asterisk's side: ARI, AMI, and the recordings it makes."""
