"""Bills by genai-prices' own functions; run by `bill.py` with a Python that has genai-prices.

Standard input: a JSON list of calls; standard output: USD as decimal text, or null, for each.
"""

import json
import sys
from datetime import datetime

from genai_prices import calc_price, extract_usage


def main() -> None:
    bills = []
    for call in json.load(sys.stdin):
        response = {"model": call["model"], "usage": call["usage"]}
        at = datetime.fromisoformat(call["at"])
        try:
            found = extract_usage(response, provider_id=call["host"], api_flavor="chat")
            price = calc_price(
                found.usage,
                call["model"],
                provider_id=call["host"],
                genai_request_timestamp=at,
            )
        except (LookupError, ValueError) as error:
            sys.stderr.write(f"{call['host']}/{call['model']}: {error}\n")
            bills.append(None)
        else:
            bills.append(f"{price.total_price:f}")
    json.dump(bills, sys.stdout)


if __name__ == "__main__":
    main()
