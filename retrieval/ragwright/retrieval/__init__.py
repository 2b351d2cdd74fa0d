"""The encoder, the index, hybrid search and evidence spans."""
