"""Plans actions to a goal picture in a simulator: no demonstration, no policy (section 5.1)."""
