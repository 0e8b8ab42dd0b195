"""Server-sent events, as far as chat streams use them. No I/O: bytes in, data fields out."""

from __future__ import annotations

from collections.abc import Iterator

DONE = "[DONE]"


class Decoder:
    """Turns the bytes of a stream into its data fields, however they are cut.

    Comments (`: keep-alive`), blank lines and other fields are skipped, CR LF is a line end, and
    several data lines of one event are joined by newlines.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        """The data fields that `piece` completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[str]:
        """What the stream ended with: some servers leave out the last blank line."""
        rest, self._rest = self._rest, b""
        yield from self._line(rest)
        yield from self._line(b"")

    def _line(self, raw: bytes) -> Iterator[str]:
        line = raw.rstrip(b"\r").decode("utf-8", "replace")
        if not line:
            if self._data:
                yield "\n".join(self._data)
                self._data = []
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
