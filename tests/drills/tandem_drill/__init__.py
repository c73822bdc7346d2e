"""Faults under load: an honest client, a ledger of every request, and what must hold."""
