"""Whether anybody listens: the tracer and the instruments, once an SDK is configured.

Without one nothing is made and nothing is measured. An SDK that is configured later is noticed
at the next request.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from router.telemetry.instruments import Instruments
from router.telemetry.names import Generation

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_NAME = "centroute"
_SILENT = ("opentelemetry.trace", "opentelemetry.metrics")
"""Modules of the API, whose own providers, tracers and meters do nothing; an SDK's are others'."""


class Source:
    """The tracer and the instruments of one client, of the generation that it emits."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.tracer: Tracer | None = None
        self.instruments: Instruments | None = None
        self._modules: tuple[ModuleType, ModuleType] | None = None  # importing them takes 40 ms

    def listening(self) -> bool:
        """Whether spans or metrics go anywhere; sets `tracer` and `instruments` where they do."""
        if self.tracer is not None and self.instruments is not None:
            return True
        first, modules = self._modules is None, self._modules or _opentelemetry()
        self._modules = trace, metrics = modules
        if self.tracer is None and (first or not _silent(trace.get_tracer_provider())):
            tracer = trace.get_tracer(_NAME, _version(), schema_url=self.generation.schema)
            self.tracer = None if _silent(tracer) else tracer
        if self.instruments is None and (first or not _silent(metrics.get_meter_provider())):
            meter = metrics.get_meter(_NAME, _version(), schema_url=self.generation.schema)
            self.instruments = None if _silent(meter) else Instruments(meter, self.generation)
        return self.tracer is not None or self.instruments is not None


def _opentelemetry() -> tuple[ModuleType, ModuleType]:
    from opentelemetry import metrics, trace

    return trace, metrics


def _silent(thing: Any) -> bool:
    return type(thing).__module__.startswith(_SILENT)


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("centroute")
    except PackageNotFoundError:  # run from a source tree
        return ""
