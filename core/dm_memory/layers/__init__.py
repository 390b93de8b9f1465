"""Memory layers: one file per engine behind one small protocol. An adapter is the SDK call and its errors' mapping."""
