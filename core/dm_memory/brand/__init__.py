"""Brand files become a brand's context and its items. Reads only; knows no store and no service."""
