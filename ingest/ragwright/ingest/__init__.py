"""Files to documents to chunks to the index: incremental and crash-safe."""
