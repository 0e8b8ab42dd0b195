"""Graded answers of the caller's own, for the scorer to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from classifiers.prompt import Prompt
from router.catalog import Catalog
from router.errors import InvalidRequestError, UnknownModelError
from router.feedback import checked_grade
from router.frames import rows_of
from router.prompts.text import check_messages, prompt_of
from router.scoring import Scorer, learner

Messages: TypeAlias = str | Sequence[Mapping[str, Any]]
Example: TypeAlias = (
    tuple[Messages, str, bool | float]
    | tuple[Messages, str, bool | float, Mapping[str, str]]
    | Mapping[str, Any]
)
"""Messages or the user's text, the model that answered, the grade; then tags, if any. Or a row."""
_COLUMNS = (("messages", "prompt"), ("model", "candidate"), ("score",))
_EXPECTED = "(messages, model, score), with tags or without, or a row of prompt, model and score"


def learned(
    scorer: Scorer,
    examples: Iterable[Example],
    catalog: Catalog,
    tags: Mapping[str, str],
    now: datetime,
) -> int:
    """Let the scorer learn from all of `examples`, or, where one is unusable, from none.

    `tags` are the client's own, under those of each example. An example may be a row as
    evaluation sets have them (`prompt` or `messages`, `model` or `candidate`, `score`, `tags`; its
    other columns are not read), and all of them a data frame of such rows.

    Raises:
        InvalidRequestError, UnknownModelError: which example, what was expected.
        ConfigError: the scorer does not learn.
    """
    able = learner(scorer)
    if isinstance(examples, (str, bytes)) or not isinstance(examples, Iterable):
        raise InvalidRequestError(
            f"examples: expected {_EXPECTED} each, got {type(examples).__name__}",
            param="examples",
        )
    if hasattr(examples, "columns") or hasattr(examples, "collect_schema"):
        examples = rows_of(examples)  # to iterate over a frame gives the names of its columns
    checked = [_checked(i, example, catalog, tags, now) for i, example in enumerate(examples)]
    for prompt, profile, grade, tenant in checked:
        able.learn(prompt, profile, grade, tenant=tenant)
    return len(checked)


def _checked(
    position: int, example: object, catalog: Catalog, tags: Mapping[str, str], now: datetime
) -> tuple[Prompt, str, float, str]:
    where = f"examples[{position}]"
    if isinstance(example, Mapping):
        example = _of_row(example, where)
    if not isinstance(example, (tuple, list)) or len(example) not in {3, 4}:
        raise InvalidRequestError(
            f"{where}: expected {_EXPECTED}, got {type(example).__name__}",
            param="examples",
        )
    messages, model, score, *more = example
    own = more[0] if more else {}
    if not isinstance(own, Mapping):
        raise InvalidRequestError(
            f"{where}: expected tags such as {{'task': 'summary'}}, got {type(own).__name__}",
            param="examples",
        )
    if bad := [k for k, v in own.items() if not (isinstance(k, str) and isinstance(v, str))]:
        raise InvalidRequestError(
            f"{where}: expected tags as texts by name, the one of {bad[0]!r} is not",
            param="examples",
        )
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    try:
        messages = check_messages(messages)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{where}: {error}", param="examples") from None
    grade = checked_grade(score, f"{where}: score")
    every = {**tags, **own}
    prompt = prompt_of(messages, tags=every)
    return prompt, _profile(where, model, catalog, now), grade, every.get("tenant", "")


def _of_row(row: Mapping[Any, Any], where: str) -> tuple[Any, ...]:
    found = []
    for names in _COLUMNS:
        given = [row[name] for name in names if row.get(name) is not None]
        if len(given) != 1:
            raise InvalidRequestError(
                f"{where}: expected one of {' and '.join(names)}, got {len(given)} of them",
                param="examples",
            )
        found += given
    messages, tags = found[0], row.get("tags")
    try:
        if isinstance(messages, str) and row.get("messages") is not None:
            messages = json.loads(messages)
        tags = json.loads(tags) if isinstance(tags, str) else tags
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(
            f"{where}: expected messages and tags as JSON: {error}", param="examples"
        ) from None
    return (messages, *found[1:], tags or {})


def _profile(where: str, model: object, catalog: Catalog, now: datetime) -> str:
    """The profile that a model's or candidate's name stands for: the same at every host."""
    if not isinstance(model, str):
        raise InvalidRequestError(
            f"{where}: expected the name of a model, got {type(model).__name__}", param="examples"
        )
    try:
        profiles = {c.profile for c in catalog.find(model, at=now)}
    except UnknownModelError as error:
        error.add_note(f"in {where}")
        raise
    if len(profiles) > 1:
        raise InvalidRequestError(
            f"{where}: expected the name of one model, {model!r} fits "
            f"{', '.join(sorted(profiles))}",
            param="examples",
        )
    return profiles.pop()
