"""How two prompts differ, and how the earlier one would read without the cause of it."""
