"""What every importer shares: the catalogue and rows of an origin. Reads and writes nothing."""
