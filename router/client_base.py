"""What `Client` and `AsyncClient` share: all that needs no call to a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from router._arguments import ClientArguments
from router._core import Core
from router._reporting import Reporting
from router._settings import check_kinds, check_known
from router.feedback import feedback
from router.labels import Example, learned
from router.ledgers.manage import Budgets
from router.types import Request

if TYPE_CHECKING:
    from classifiers.runtime import Scorer
    from router.catalog import Candidate, Catalog
    from router.ledgers import Ledger
    from router.responses import ResponseCache
    from router.transports.vllm import State


Init = TypeVar("Init", bound=Callable[..., None])


def spelled_out(init: Init) -> Init:
    """Show the settings behind `**settings` in help, and to what completes names while one types.

    Type checkers know them from `ClientArguments`; `inspect.signature` would say `**settings`.
    """
    own = signature(init).parameters.values()
    named = [p for p in own if p.kind is not Parameter.VAR_KEYWORD]
    settings = signature(Core).parameters.values()
    shown = Signature([*named, *settings], return_annotation=None)
    vars(init)["__signature__"] = shown
    return init


class BaseClient(Reporting):
    """What both clients offer without a call to a model."""

    def __init__(self, **settings: Unpack[ClientArguments]) -> None:
        check_known(type(self).__name__, settings)
        check_kinds(settings)
        self._core = Core(**settings)

    @property
    def catalog(self) -> Catalog:
        """The catalogue in use."""
        return self._core.catalog

    @property
    def ledger(self) -> Ledger:
        """The ledger in use, opened if it was not."""
        return self._core.ledger

    @property
    def scorer(self) -> Scorer:
        """The scorer in use, with what it has learned; one of your own where you passed one.

        To type checkers it is the shipped one, which is more than a scorer of your own need be.
        """
        return cast("Scorer", self._core.scorer)

    def _feedback(self, request_id: str, score: bool | float, by: str) -> None:
        core = self._core
        feedback(core.scorer, core.memory, core.ledger, request_id, score, by=by, at=core.now())

    def learn(self, examples: Iterable[Example]) -> int:
        """Learn from graded answers of your own; returns how many.

        Each example is `(messages, model, score)` or `(messages, model, score, tags)`: messages
        as in `create`, or the text of the user's one message; who answered, by a name of the
        catalogue; how good it was, as in `feedback`. A frame, or rows with `prompt`, `model` and
        `score`, does as well. All are checked before any is learned.

        Raises:
            InvalidRequestError, UnknownModelError: which example, what was expected.
            ConfigError: as in `feedback`.
        """
        core = self._core
        return learned(core.scorer, examples, core.catalog, core.tags, core.now())

    def _job_request(
        self, shared: Mapping[str, Any]
    ) -> Callable[[Any, Mapping[str, Any]], Request]:
        return lambda messages, own: self._core.request(messages, {**shared, **own})

    def candidates(self, model: str = "auto") -> tuple[Candidate, ...]:
        """The candidates that `model` stands for now, in this client's configuration."""
        self._core.services()
        return tuple(self._core.portfolio.configured((model,), self._core.now()))

    def replicas(self) -> tuple[State, ...]:
        """How each replica of one's own servers is: health, load, speed; see `State`.

        None are known before the first request.
        """
        return self._core.upkeep.states()

    def drain(self, url: str) -> None:
        """Give the replica at this base URL no new calls; those under way end.

        Before the first request this asks one's servers what they serve.

        Raises:
            ConfigError: no replica has it.
        """
        self._core.services()
        self._core.upkeep.drain(url, again=False)

    def undrain(self, url: str) -> None:
        """Give a drained replica calls again; raises ConfigError for an unknown one."""
        self._core.services()
        self._core.upkeep.drain(url, again=True)

    @property
    def budgets(self) -> Budgets:
        """The budgets of this client: what is left of them, top-ups, transfers, freezes."""
        return self._core.budget_desk

    @property
    def cache(self) -> ResponseCache | None:
        """The response cache, to `clear` it or to see its `stats`; None without one."""
        return self._core.cache
