"""Backs a database host up, restores it, and proves that it can be restored. See __main__.py."""
