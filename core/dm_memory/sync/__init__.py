"""Items and stored entries become a plan; the plan is stored in one database and delivered to each service."""
