"""The main job on recorded prompts: routed under a budget, compared, charted. See `cli.demo`."""
