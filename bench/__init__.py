"""How long Tandem takes, and what of that nobody could save."""
