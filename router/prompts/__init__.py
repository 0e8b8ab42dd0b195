"""Prompts: canonical layout, the text that is scored, and what caches should hold."""
