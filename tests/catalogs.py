"""Small catalogues of one model at one host, for tests of prices."""

from datetime import UTC, datetime

from router.catalog import Catalog


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rate(**columns):
    """A rate row of m@h; None leaves a column out."""
    row = {"endpoint": "m@h", "input": "1", "output": "2", "source": "s", "checked": "2026-11-21"}
    return {k: v for k, v in (row | columns).items() if v is not None}


def by_clock(peak="2", off_peak="1", **columns):
    """A rate row of m@h with schedule "s"; both windows charge one price for everything."""
    return rate(
        input=None,
        output=None,
        schedule="s",
        peak={"input": peak, "output": peak},
        off_peak={"input": off_peak, "output": off_peak},
        **columns,
    )


def exchange(usd, **columns):
    """What one CNY is worth."""
    row = {"currency": "CNY", "usd": usd, "source": "s", "checked": "2026-11-21"}
    return row | columns


def small(*rates, endpoint=None, **tables):
    """The model m at the host h with these rates, and other tables by name."""
    served = {
        "model": "m",
        "host": "h",
        "model_id": "m-1",
        "context_tokens": 1_000_000,
        "max_output_tokens": 10,
    }
    return Catalog.load(
        {
            "host": [{"name": "h"}],
            "model": [{"name": "m"}],
            "endpoint": [served | (endpoint or {})],
            "rate": list(rates),
            **tables,
        }
    )
