"""The server over HTTP: who may ask for what, limits on what they cost, and the process around it."""
