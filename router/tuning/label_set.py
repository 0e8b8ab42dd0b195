"""Evaluation sets as traffic: prompts are planned, what every candidate would get is known."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policies.types import Decision
from router.errors import ConfigError, NoCandidateError, RecordError, UnknownModelError
from router.pricing import cost
from router.record import DecisionRecord
from router.tuning.label_names import check_client, check_model, stands_for
from router.tuning.progress import track
from router.tuning.rows import MORE, json_of, number_of, pico_of
from router.tuning.traffic import Logged, Outcome, Traffic
from router.types import Plan, Usage

_COLUMNS = frozenset(
    {
        "id",
        "prompt",
        "messages",
        "model",
        "candidate",
        "score",
        "output_tokens",
        "cost_usd",
        "tags",
    }
)
_MOST_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class _Known:
    """What a row says of an answer: its grade, and its cost or its length if known."""

    score: float
    cost: int | None = None
    output_tokens: int | None = None


@dataclass(slots=True)
class _Asked:
    """A prompt with all that is known of the answers to it, by the name in its rows."""

    id: str
    messages: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str]
    answers: dict[str, _Known] = field(default_factory=dict)


def from_set(
    rows: Sequence[Mapping[str, Any]], client: Any, where: str, *, progress: bool = True
) -> Traffic:
    """Traffic of an evaluation set; see `router.tuning.load`.

    A model's row holds for it at every host; where cost and length are unknown, the cost is the
    forecast's. Prompts without a row for each candidate are left out, and a note says so.

    Raises:
        ConfigError: the number of the row, the column, what was expected.
        UnknownModelError: the row that names a model which is not in the client's catalogue.
    """
    check_client(client)
    asked: dict[str, _Asked] = {}
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        first.setdefault(_take(row, f"{where}: row {number}", asked), number)
    every = list(asked.values())
    try:
        return _planned(every, client, list(first), progress)
    except UnknownModelError:
        for name, number in first.items():
            check_model(client, every[0].messages, name, f"{where}: row {number}")
        raise


def recorded(
    client: Any,
    prompts: Iterable[Any],
    *,
    tags: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Traffic:
    """Traffic of `recorded_prompts(...)`: what each recorded model made of it is known.

    The client's candidates at the host `replay` are planned; nothing is sent or spent. Every
    request has the tag `dataset`, and `tags`.

    Raises:
        ConfigError: no `Client` (an AsyncClient plans with await), or no prompt can be planned.

    >>> from router import Client, recorded_prompts, tuning
    >>> client = Client(ledger=":memory:", candidates=["deepseek-v2.5@replay"])
    >>> tuning.recorded(client, recorded_prompts(source="zeroeval")[:3]).complete
    True
    """
    check_client(client)
    asked = [
        _Asked(
            id=each.id,
            messages=[{"role": "user", "content": each.prompt}],
            tags={**(tags or {}), "dataset": each.dataset},
            answers={
                model: _Known(o.score, output_tokens=o.output_tokens)
                for model, o in each.outcomes.items()
            },
        )
        for each in prompts
    ]
    return _planned(asked, client, [], progress)


def _take(row: Mapping[str, Any], where: str, asked: dict[str, _Asked]) -> str:
    """Put a row beside those of its prompt; the name of who answered."""
    unknown = sorted(str(name) for name in row if name not in _COLUMNS)
    if unknown:
        raise ConfigError(
            f"{where}: expected {', '.join(sorted(_COLUMNS))}; got {', '.join(unknown)}; {MORE}"
        )
    messages = _messages(row, where)
    text = json.dumps(messages, sort_keys=True, default=str)
    given = row.get("id")
    key = str(given) if given else f"set-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    tags = json_of(row.get("tags"), f"{where}: tags") or {}
    if not isinstance(tags, Mapping):
        raise ConfigError(f"{where}: tags: expected a JSON object, got {tags!r}")
    each = asked.setdefault(key, _Asked(key, messages, {str(k): str(v) for k, v in tags.items()}))
    if each.messages != messages:
        raise ConfigError(f"{where}: id: {key!r} is that of another prompt")
    name = row.get("candidate") or row.get("model")
    if not isinstance(name, str):
        raise ConfigError(f"{where}: model or candidate: expected a name, got {name!r}")
    if name in each.answers:
        raise ConfigError(f"{where}: a second answer of {name!r} to the same prompt")
    if row.get("score") is None:
        raise ConfigError(f"{where}: score: expected a number from 0 to 1, got none")
    each.answers[name] = _Known(
        number_of(row["score"], f"{where}: score"),
        pico_of(row.get("cost_usd"), f"{where}: cost_usd"),
        _tokens(row.get("output_tokens"), f"{where}: output_tokens"),
    )
    return name


def _tokens(value: object, where: str) -> int | None:
    if value is None:
        return None
    found = number_of(value, where, most=float("inf"))
    if found > _MOST_TOKENS:
        raise ConfigError(f"{where}: expected at most {_MOST_TOKENS:,} tokens, got {value!r}")
    return round(found)


def _messages(row: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    prompt, messages = row.get("prompt"), json_of(row.get("messages"), f"{where}: messages")
    if isinstance(prompt, str) and prompt and messages is None:
        return [{"role": "user", "content": prompt}]
    if isinstance(messages, list | tuple) and messages and prompt is None:
        if not all(isinstance(message, Mapping) for message in messages):
            raise ConfigError(f"{where}: messages: expected dicts of role and content")
        return list(messages)
    raise ConfigError(f"{where}: expected a text as prompt, or a list as messages, not both")


def _planned(
    asked: Sequence[_Asked], client: Any, names: Sequence[str], progress: bool
) -> Traffic:
    """Plan each prompt, and put what is known beside its quotes."""
    left: Counter[str] = Counter()
    made = []
    models: dict[str, frozenset[str]] = {}
    for each in track(asked, "prompts") if progress else asked:
        given = {"model": list(names)} if names else {}
        try:
            plan: Plan = client.plan(each.messages, tags=each.tags, **given)
        except NoCandidateError as error:
            left[f"nobody can serve them: {str(error).splitlines()[0]}"] += 1
            continue
        outcomes, guessed = _outcomes(plan, each, client, models)
        missing = [q.name for q in plan.record.quotes if q.name not in outcomes]
        if missing:
            left[f"no score of {', '.join(missing)}"] += 1
            continue
        left["guessed"] += guessed
        made.append(_logged(plan.record, each, outcomes))
    if not made:
        said = "; ".join(text for text, count in left.items() if count and text != "guessed")
        raise ConfigError(f"prompts: expected some that can be planned, got none; {said}")
    guessed = left.pop("guessed", 0)
    notes = [f"{_prompts(count)} left out: {text}" for text, count in left.items() if count]
    if guessed:
        notes.append(
            f"the cost of {guessed:,} answer{'' if guessed == 1 else 's'} is a forecast: give "
            "output_tokens or cost_usd"
        )
    return Traffic(made, notes=notes)


def _prompts(count: int) -> str:
    return "1 prompt was" if count == 1 else f"{count:,} prompts were"


def _outcomes(
    plan: Plan, asked: _Asked, client: Any, models: dict[str, frozenset[str]]
) -> tuple[dict[str, Outcome], int]:
    """What each quoted candidate would get, and how many costs are forecasts."""
    at = plan.record.context.now
    found: dict[str, Outcome] = {}
    guessed = 0
    for quote in plan.record.quotes:
        known = asked.answers.get(quote.name)
        if known is None:
            named = next(
                (n for n in asked.answers if quote.name in stands_for(n, client, at, models)), ""
            )
            known = asked.answers.get(named)
        if known is None:
            continue
        pico = known.cost
        if pico is None and known.output_tokens is not None:
            tokens = plan.forecasts[quote.name].input_tokens
            rates = client.catalog.rates(quote.name, at, input_tokens=tokens)
            if rates is not None:
                usage = Usage(input_tokens=tokens, output_tokens=known.output_tokens)
                pico = cost(usage, rates).pico
        if pico is None:
            guessed += 1
            pico = quote.cost
        found[quote.name] = Outcome(score=known.score, cost=pico)
    return found, guessed


def _logged(made: DecisionRecord, asked: _Asked, outcomes: Mapping[str, Outcome]) -> Logged:
    record = _settled(made, asked.id)
    decision = record.decision
    got = outcomes[decision.chosen] if decision.ranking else None
    return Logged(
        request_id=asked.id,
        at=record.context.now,
        chosen=decision.chosen if got else "",
        propensity=decision.propensity if got else 1.0,
        tags=dict(asked.tags),
        record=record,
        served=decision.chosen if got else "",
        policy=decision.policy,
        cost=got.cost if got else None,
        quality=got.score if got else None,
        quality_by="label",
        outcomes=outcomes,
    )


def _settled(record: DecisionRecord, request_id: str) -> DecisionRecord:
    """The record as if its request had this id: the draw follows from it, so it is repeatable."""
    digest = hashlib.sha256(b"draw:" + request_id.encode("utf-8", "replace")).digest()
    draw = (int.from_bytes(digest[:8]) >> 11) * 2.0**-53
    moved = replace(record, request_id=request_id, context=replace(record.context, draw=draw))
    try:
        decision: Decision = moved.replay()
    except RecordError:  # a callable of the user's own: as it was
        return moved
    return replace(moved, decision=decision)
