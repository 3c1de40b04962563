"""Commands on a store that is there: delete, trim, label success, seal, upgrade."""
