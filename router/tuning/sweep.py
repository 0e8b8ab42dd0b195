"""Many policies on the same traffic: quality and cost of each, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from policies.types import Policy
from router.errors import ConfigError
from router.money import to_pico
from router.tuning._shown import points_html
from router.tuning.given import PolicyLike, TrafficLike, policy_of, traffic_of
from router.tuning.logged import Cluster
from router.tuning.measure import Measured, measure
from router.tuning.progress import track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Policies: TypeAlias = "Family | Mapping[str, PolicyLike] | Sequence[PolicyLike] | PolicyLike"
"""A family, policies by name, several, or one; each may be the name of a preset or a file."""
_GRIDS: dict[str, tuple[float | str, ...]] = {
    "threshold": tuple(k / 40 for k in range(21)),
    "cheapest_adequate": tuple(k / 40 for k in range(16, 40)),
}
_MONEY = tuple(f"{10 ** (k / 6):.9f}".rstrip("0") for k in range(-36, 1))
"""What a right answer may be worth: from a ten-thousandth of a cent to a dollar."""


@dataclass(frozen=True, slots=True)
class Family:
    """Policies that differ in one parameter: `make(value)` for each of `values`, in order.

    >>> from router import tuning, utility
    >>> [str(policy) for policy in tuning.family(utility, ["0.001", "0.01"])]
    ['utility(0.001)', 'utility(0.01)']
    """

    make: Callable[[Any], Policy]
    values: tuple[Any, ...]
    parameter: str = "parameter"

    def __iter__(self) -> Iterator[Policy]:
        return (self.make(value) for value in self.values)

    def __len__(self) -> int:
        return len(self.values)


def family(
    make: Callable[[Any], Policy], values: Sequence[Any] | None = None, *, parameter: str = ""
) -> Family:
    """A family: `utility`, `threshold`, ..., or a function of one value that gives a policy.

    Without `values`, "what a right answer is worth" from $0.000001 to $1, six to a decade; gains
    of `threshold` from 0 to 0.5; qualities of `cheapest_adequate` from 0.4 to 0.975.

    Raises:
        ConfigError: no values are given, a value is none for this policy, or `make` makes none.
    """
    if not callable(make):
        raise ConfigError(f"family: expected a policy's class or a function, got {make!r}")
    name = getattr(make, "__name__", "")
    found = _GRIDS.get(name, _MONEY) if values is None else tuple(values)
    if not found:
        raise ConfigError("values: expected at least one, got none")
    names = {"threshold": "gain", "cheapest_adequate": "quality"}
    made = Family(make, tuple(found), parameter or names.get(name, "value_usd"))
    try:
        policies = list(made)
    except ValueError as error:
        raise ConfigError(f"values: {error}") from None
    except TypeError as error:
        raise ConfigError(
            "family: expected a policy's class, such as utility, or a function of one value that "
            f"gives a policy; calling {name or make!r} with {found[0]!r} failed: {error}"
        ) from None
    for policy in policies:
        policy_of(policy, "family")
    return made


@dataclass(frozen=True, slots=True)
class Sweep(Sequence[Measured]):
    """What each policy would have got on the same traffic, in the order given."""

    points: tuple[Measured, ...]
    family: Family | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, at: Any) -> Any:
        return self.points[at]

    def named(self, name: str) -> Measured:
        """The point of this name.

        Raises:
            ConfigError: there is none.
        """
        for point in self.points:
            if point.name == name:
                return point
        known = ", ".join(point.name for point in self.points)
        raise ConfigError(f"name: expected one of {known}; got {name!r}")

    def to_frame(self, backend: str = "pandas") -> Any:
        """A table of it, a row for each policy; shares of candidates are columns `share:<name>`.

        Raises:
            ConfigError: no such backend, or its library is not installed.
        """
        from router.frames import to_frame

        rows = [point.row() for point in self.points]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        full = [{name: row.get(name, _absent(name)) for name in columns} for row in rows]
        return to_frame(columns, full, backend)

    def plot(self) -> Figure:
        """Quality and cost against the parameter; see `router.tuning.plots`."""
        from router.tuning.plots import sweep_figure

        return sweep_figure(self)

    def __repr__(self) -> str:
        return "\n".join(map(str, self.points))

    def _repr_html_(self) -> str:
        return points_html(self.points)


def sweep(
    traffic: TrafficLike,
    policies: Policies,
    *,
    value_usd: str | Decimal | None = None,
    confidence: float = 0.95,
    cluster: Cluster | None = None,
    progress: bool = True,
) -> Sweep:
    """Evaluate each policy on the traffic: exactly where all outcomes are known, else estimated.

    Traffic may be whatever `load` takes, a policy the name of a preset or a file.
    Estimates are doubly robust (`router.tuning.off_policy`), and rest on requests with decision
    records and grades. `value_usd` is what a right answer is worth: it adds `worth_usd`. Intervals
    are those of a mean over requests like these, at `confidence`; `cluster` says which of them
    belong together, as in `estimate`.

    Raises:
        ConfigError: no traffic, no policies, two of one name, or a value that is none.
    """
    worth = None if value_usd is None else _checked_value(value_usd)
    named = named_policies(policies)
    traffic = traffic_of(traffic)
    items = track(named.items(), "policies", len(named)) if progress else named.items()
    points = [
        measure(traffic, policy, name=name, value=worth, confidence=confidence, cluster=cluster)
        for name, policy in items
    ]
    return Sweep(tuple(points), policies if isinstance(policies, Family) else None)


def named_policies(policies: Policies) -> dict[str, Policy]:
    """Policies by name: their own words, unless names are given.

    Raises:
        ConfigError: none, or two that are called the same.
    """
    if isinstance(policies, Mapping):
        found = {name: policy_of(each, f"policies: {name!r}") for name, each in policies.items()}
    else:
        found = {}
        for each in _several(policies):
            policy = policy_of(each, "policies")
            name = _words(policy)
            if name in found:
                raise ConfigError(
                    f"policies: two are called {name!r}; name them: {{'mine': policy, ...}}"
                )
            found[name] = policy
    if not found:
        raise ConfigError("policies: expected at least one, got none")
    return found


def _several(policies: Any) -> Iterable[Any]:
    one = isinstance(policies, str) or not isinstance(policies, Iterable)
    return (policies,) if one else policies


def _words(policy: Policy) -> str:
    own = type(policy).__module__.partition(".")[0] in {"policies", "router"}
    return str(policy) if own else str(getattr(policy, "__name__", policy))


def _checked_value(value: str | Decimal) -> int:
    try:
        pico = to_pico(value)
    except ValueError as error:
        raise ConfigError(f"value_usd: {error}") from None
    if pico <= 0:
        raise ConfigError(f"value_usd: expected an amount above 0 in USD, got {value!r}")
    return pico


def _absent(column: str) -> Any:
    return 0.0 if column.startswith("share:") else None
