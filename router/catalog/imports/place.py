"""Offers of a data set beside a catalogue -> rows: what it has is repriced, the rest is added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from router.catalog.imports.naming import Names
from router.catalog.imports.offer import Imported, Offer, Period, Row, Rows
from router.catalog.imports.present import Present, stated

if TYPE_CHECKING:
    from router.catalog import Catalog
    from router.catalog.schema import Endpoint

_UNSTATED = 1
"""Stands for a limit that nobody states: no request fits, were such an endpoint called."""


def place(
    offers: Iterable[Offer],
    skipped: Mapping[str, str],
    rounded: int,
    name: str,
    checked: date,
    since: date,
    existing: Catalog,
) -> Imported:
    """Rows for `existing.overlay`. `name` is the data set with its version."""
    return _Placing(name, checked, since, existing).run(offers, skipped, rounded)


class _Placing:
    def __init__(self, name: str, checked: date, since: date, existing: Catalog) -> None:
        self.name = name
        self.checked = checked
        self.since = since
        self.existing = existing
        self.present = Present(existing)
        self.names = Names(existing)
        self.rows: Rows = {"host": [], "model": [], "endpoint": [], "rate": [], "schedule": []}
        self.skipped: dict[str, str] = {}
        self.left_out: dict[str, tuple[str, ...]] = {}
        self.abilities: dict[str, Row] = {}

    def run(self, offers: Iterable[Offer], skipped: Mapping[str, str], rounded: int) -> Imported:
        self.skipped.update(skipped)
        first: dict[tuple[str, str], Offer] = {}
        priced: set[str] = set()
        since = self.since
        # Ids of one part choose their names before longer ones that end alike.
        listed = enumerate(offers)
        for _, offer in sorted(listed, key=lambda item: (*_order(item[1]), item[0])):
            same = first.setdefault((offer.host, offer.model_id.lower()), offer)
            if same is not offer:
                agree = "the same prices" if same.periods == offer.periods else "other prices"
                self.skipped[offer.key] = f"twice: {agree} as {same.key}, which was taken"
                continue
            known = self.present.find(offer)
            if why := _unfit(offer):
                self.skipped[offer.key] = why
            elif offer.retires_on is not None and offer.retires_on <= since:
                self.skipped[offer.key] = f"retired: on {offer.retires_on}, as the list says"
            elif known:
                self._reprice(offer, known, priced)
            elif other := self.present.alias(offer):
                self.skipped[offer.key] = f"alias: another name of {other}"
            elif several := self.present.region(offer, _midnight(since)):
                self.skipped[offer.key] = f"unchanged: {several.name} has these prices"
            else:
                self._add(offer)
            if offer.left_out and offer.key not in self.skipped:
                self.left_out[offer.key] = offer.left_out
        for model in self.abilities.values():
            modes = [mode for mode in ("chat", "thinking") if mode in model["modes"]]
            self.rows["model"].append({**model, "modes": modes})
        rows = {table: sorted(found, key=_by_name) for table, found in self.rows.items() if found}
        return Imported(
            rows=rows,
            skipped=dict(sorted(self.skipped.items())),
            left_out=dict(sorted(self.left_out.items())),
            rounded=rounded,
        )

    def _reprice(self, offer: Offer, known: Iterable[Endpoint], priced: set[str]) -> None:
        """New prices for endpoints of the catalogue, unless theirs are the same or history."""
        why = "twice: its endpoints have a price from an earlier entry"
        done = False
        for endpoint in known:
            if endpoint.name in priced:
                continue
            if endpoint.retires_at is not None and endpoint.retires_at <= _midnight(self.since):
                why = f"retired: {endpoint.name} on {endpoint.retires_at:%Y-%m-%d}; history stays"
                continue
            priced.add(endpoint.name)
            current = self.present.rate(endpoint.name, _midnight(self.since))
            row, later = self._current(offer)
            if current is not None and self.present.same(current, row.prices):
                why = f"unchanged: {endpoint.name} has these prices"
            else:
                news = row.start is not None and current and row.start > current.checked
                since = row.start if news else self.since
                self._rate(endpoint.name, offer, row, since)
                done = True
            for period in later:
                assert period.start is not None
                then = _midnight(period.start)
                planned = self.present.rate(endpoint.name, then)
                if planned is None or planned.valid_from != then:
                    planned = None
                if planned is None or not self.present.same(planned, period.prices):
                    self._rate(endpoint.name, offer, period, period.start)
                    done = True
        if not done:
            self.skipped[offer.key] = why

    def _current(self, offer: Offer) -> tuple[Period, list[Period]]:
        """The period in force on the day prices count from, and those that follow it."""
        past = [p for p in offer.periods if p.start is None or p.start <= self.since]
        later = [p for p in offer.periods if p not in past]
        return (past[-1], later) if past else (later[0], later[1:])

    def _add(self, offer: Offer) -> None:
        """An endpoint that the catalogue lacks, with its model and host where it lacks these."""
        source = self._source(offer)
        stamp = {"source": source, "checked": self.checked}
        model = self.names.model(offer.host, offer.model_id)
        able = not (offer.speciale or "speciale" in model)
        host = self.existing.hosts.get(offer.host)
        if host is None and all(row["name"] != offer.host for row in self.rows["host"]):
            self.rows["host"].append({"name": offer.host, "kind": "unsupported", **stamp})
        tools, json_mode = able and offer.tools, able and offer.json_mode
        mode = "thinking" if offer.thinks or not able else "chat"
        weights = self.existing.models.get(model)
        if weights is not None:
            tools, json_mode = tools and weights.tools, json_mode and weights.json_mode
            mode = mode if mode in weights.modes else weights.modes[0]
        else:
            new = {"name": model, "modes": set(), "tools": False, "json_mode": False, **stamp}
            row = self.abilities.setdefault(model, new)
            row["modes"].add(mode)
            row["tools"] |= tools
            row["json_mode"] |= json_mode
        context = offer.context_tokens or offer.max_output_tokens or _UNSTATED
        stated = offer.context_tokens is not None
        callable_host = host is not None and host.kind not in {"unsupported", "reference"}
        endpoint = {
            "model": model,
            "host": offer.host,
            "model_id": offer.model_id,
            "modes": [mode],
            "context_tokens": context,
            "max_output_tokens": min(offer.max_output_tokens or context, context),
            "tools": tools,
            "json_mode": json_mode,
        }
        if callable_host and not (offer.chat and stated):
            endpoint["kind"] = "unsupported"
        if offer.retires_on is not None:
            endpoint["retires_at"] = offer.retires_on
        self.rows["endpoint"].append({**endpoint, **stamp})
        starts = [period.start for period in offer.periods]
        for period, following in zip(offer.periods, [*starts[1:], None], strict=True):
            start = period.start
            if start is None:
                if following is not None and following <= self.since:
                    continue  # over before prices count
                start = self.since
            self._rate(f"{model}@{offer.host}", offer, period, start)

    def _rate(self, endpoint: str, offer: Offer, period: Period, start: date | None) -> None:
        row: Row = {"endpoint": endpoint, "valid_from": start}
        if period.start is None and self.since < self.checked:
            row["known_since"] = self.checked
        if period.hours is not None:
            hours = period.hours
            row["schedule"] = hours.name
            if all(schedule["name"] != hours.name for schedule in self.rows["schedule"]):
                self.rows["schedule"].append(
                    {
                        "name": hours.name,
                        "zone": hours.zone,
                        "weekdays": list(hours.weekdays),
                        "hours": list(hours.spans),
                        "source": self._source(offer),
                        "checked": self.checked,
                    }
                )
        source = {"source": self._source(offer), "checked": self.checked}
        self.rows["rate"].append({**row, **period.prices, **source})

    def _source(self, offer: Offer) -> str:
        return f"{self.name}: {offer.key}"


def _unfit(offer: Offer) -> str:
    """Why prices that could be read do not make a row; "" where they do."""
    try:
        for period in offer.periods:
            stated(period.prices)
    except ValueError as error:
        return f"unreadable: {' '.join(str(error).split())}"
    return ""


def _order(offer: Offer) -> tuple[Any, ...]:
    """One order whatever order the list has; genai-prices' clauses are asked in the list's own."""
    key = "" if offer.accepts else offer.key
    wire = "" if offer.accepts else offer.model_id
    return offer.host, wire.count("/"), wire, -key.count("/"), key


def _by_name(row: Row) -> tuple[str, str]:
    name = row.get("name") or row.get("endpoint") or f"{row['model']}@{row['host']}"
    return name, str(row.get("valid_from", ""))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
