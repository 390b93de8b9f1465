"""Items and registry rows become a plan, the plan becomes payloads, layers confirm them, the registry remembers."""
