"""Transports for tests of batches: they keep who began and who ended, and can be held up."""

import asyncio
import threading
import time

from router.testing import FakeClock, reply

SHARED = "You help the customers of a small shop that sells lamps and tables. " * 40
"""Some 500 tokens: enough for others to wait for."""


def asked(call):
    """The text of the question that a call carries."""
    return call.request.messages[-1]["content"]


def ask(question, shared=SHARED):
    """A request with a long beginning."""
    return [{"role": "system", "content": shared}, {"role": "user", "content": question}]


class Host:
    """Answers with the question, `seconds` later; what `meets` does for a question goes first."""

    def __init__(self, meets=None, *, seconds=0.0):
        self._meets, self._seconds = meets or {}, seconds
        self._lock = threading.Lock()
        self.events = []

    def note(self, what, text):
        with self._lock:
            self.events.append((what, text))

    def send(self, call):
        text = asked(call)
        self.note("begin", text)
        time.sleep(self._seconds)
        try:
            meet = self._meets.get(text) or self._meets.get("*")
            if meet is not None:
                meet()
            return reply(text, input_tokens=560, output_tokens=200)
        finally:
            self.note("end", text)

    @property
    def began(self):
        return [text for what, text in self.events if what == "begin"]

    def alone(self, text, others):
        """Whether none of the others began while this one was under way, or before."""
        until = self.events.index(("end", text))
        return not any(("begin", other) in self.events[:until] for other in others)

    def open(self, call):
        raise AssertionError("a batch does not stream")

    def close(self):
        pass


class AsyncHost(Host):
    """The same on an event loop."""

    async def send(self, call):
        text = asked(call)
        self.note("begin", text)
        try:
            await asyncio.sleep(self._seconds)
            meet = self._meets.get(text) or self._meets.get("*")
            if meet is not None:
                await meet()
            return reply(text, input_tokens=560, output_tokens=200)
        finally:
            self.note("end", text)

    async def close(self):
        pass


def shop(**rule):
    """Settings of a client with one host, whose prompt cache works by `rule`."""
    row = {"name": "deepseek-v4", "unit_tokens": 64, **rule}
    return {
        "keys": {"deepseek": "k"},
        "candidates": "deepseek-flash@deepseek",
        "ledger": ":memory:",
        "now": FakeClock(),
        "catalog": {"cache": [row]},
    }
