"""Questions about documents, each with the exact spans that answer it: made, filtered, counted and split."""
