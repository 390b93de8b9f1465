"""What an assistant's hooks run: what matters now at the start of a session, a sync in the background at its end."""
