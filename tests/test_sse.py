"""The decoder of event streams: however the bytes are cut, the data fields are the same."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from router.transports.sse import DONE, Decoder

STREAM = (
    b": keep-alive\n\n"
    b'data: {"a": "\xf0\x9f\xa6\x93"}\r\n\r\n'
    b"event: message\nid: 7\nretry: 10\ndata:no space\n\n"
    b"data: two\ndata: lines\n\n"
    b"\n\n: another\n"
    b"data:  keeps one of two spaces\n\n"
    b"data: [DONE]\n\n"
)
FIELDS = ['{"a": "🦓"}', "no space", "two\nlines", " keeps one of two spaces", DONE]


def decode(pieces):
    decoder = Decoder()
    return [d for piece in pieces for d in decoder.feed(piece)] + list(decoder.end())


def cut(whole, places):
    ends = sorted({*places, 0, len(whole)})
    return [whole[a:b] for a, b in pairwise(ends)]


def test_the_fields_of_a_stream_in_one_piece():
    """Comments, blank lines and other fields are skipped; data lines of an event are joined."""
    assert decode([STREAM]) == FIELDS


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_cut_of_the_bytes_gives_the_same_fields(places):
    """Cuts inside a character, a CR LF or a field name change nothing."""
    assert decode(cut(STREAM, places)) == FIELDS


def test_byte_by_byte():
    """The smallest pieces there are."""
    assert decode([STREAM[i : i + 1] for i in range(len(STREAM))]) == FIELDS


@given(
    st.lists(st.text(st.characters(blacklist_characters="\r\n", codec="utf-8"), min_size=1)),
    st.data(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_texts_come_back_as_they_were(texts, data, end):
    """What is written as data lines is read again, in order, at any cut."""
    whole = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=20))
    assert decode(cut(whole, places)) == texts


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(content):
    """Whatever comes, there is no exception, and every field is text without a line break."""
    for field in decode([content]):
        assert isinstance(field, str)


def test_a_stream_without_its_last_blank_line():
    """What stands at the end is a field all the same, and only once."""
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\n\ndata: b")) == ["a"]
    assert list(decoder.end()) == ["b"]
    assert list(decoder.end()) == []
