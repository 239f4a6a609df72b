"""Storage: the index folder, its LanceDB table, header and digests."""
