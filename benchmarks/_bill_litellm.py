"""Bills by LiteLLM's own cost function; run by `bill.py` with a Python that has LiteLLM.

Standard input: a JSON list of calls; standard output: USD as decimal text, or null, for each. Its
prices are those of its map, whatever the day: only off-peak hours go by the instant of the call.
"""

import json
import os
import sys
from datetime import datetime

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])

PROVIDERS = {"azure": "azure_ai", "fireworks": "fireworks_ai"}


def main() -> None:
    from litellm.litellm_core_utils.llm_cost_calc.utils import generic_cost_per_token
    from litellm.types.utils import Usage

    bills = []
    for call in json.load(sys.stdin):
        provider = PROVIDERS.get(call["host"], call["host"])
        model = call["model"].lower() if provider == "azure_ai" else call["model"]
        try:
            parts = generic_cost_per_token(
                model=f"{provider}/{model}",
                usage=Usage(**call["usage"]),
                custom_llm_provider=provider,
                current_time=datetime.fromisoformat(call["at"]),
            )
        except Exception as error:  # noqa: BLE001 - it raises a bare Exception for unknown models
            sys.stderr.write(f"{provider}/{model}: {str(error)[:120]}\n")
            bills.append(None)
        else:
            bills.append(f"{sum(parts):.18f}")
    json.dump(bills, sys.stdout)


if __name__ == "__main__":
    main()
