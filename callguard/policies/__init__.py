"""The law as data: one TOML file for each country, what reads them, and where a number is of."""
