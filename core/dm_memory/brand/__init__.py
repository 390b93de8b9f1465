"""Brand files become a brand's context and its items. Reads only; knows no registry and no layer."""
