"""Excerpts of other projects' price lists, and their import, for tests."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from router.catalog import Catalog
from router.catalog.imports import from_genai_prices, from_litellm

PRICES = Path(__file__).parent / "data" / "prices"
LITELLM = json.loads((PRICES / "litellm.json").read_text())
GENAI = json.loads((PRICES / "genai_prices.json").read_text())
DAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHIPPED = Catalog.default()


def litellm(data=LITELLM, **options):
    return from_litellm(data, version="1.109.1", checked=DAY, **{"existing": SHIPPED, **options})


def genai(data=GENAI, **options):
    return from_genai_prices(
        data, version="0.2.3", checked=DAY, **{"existing": SHIPPED, **options}
    )


def entry(**fields):
    """A LiteLLM entry of a chat model at DeepInfra, which the catalogue knows how to call."""
    usual = {"litellm_provider": "deepinfra", "mode": "chat", "max_input_tokens": 1000}
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    return {**usual, **prices, **fields}


def rates(found, name, at=NOW, **options):
    return SHIPPED.overlay(found.rows).rates(name, at, **options)


def usd(pico):
    return Decimal(pico) / 10**12


MODULE = """
import datetime
from decimal import Decimal
from .types import *
providers: list[Provider] = [
    Provider(id='lab', name='Lab', models=[
        ModelInfo(id='x-1', match=ClauseOr(or_=[ClauseEquals(equals='x-1')]), prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'))),
            ConditionalPrice(
                constraint=TimeOfDateConstraint(
                    start_time=datetime.time(1, 0, tzinfo=datetime.UTC),
                    end_time=datetime.time(4, 0, tzinfo=datetime.UTC),
                ),
                prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('4')),
            ),
        ]),
    ])
]
"""
