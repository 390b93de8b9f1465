"""Search: what is stored is found, by meaning and by words, in the brand's language, and as it was on a day."""
