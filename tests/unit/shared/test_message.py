"""Where a message's fields stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost.message import Envelope, HeaderField, Message, places_of

NAMES = st.lists(
    st.sampled_from([b"From", b"FROM", b"from ", b"From\t ", b"To", b" ", b"X-From", b"to"]), max_size=9
)


@given(NAMES)
def test_places(names: list[bytes]) -> None:
    headers = [HeaderField(name, b"%d" % place) for place, name in enumerate(names)]
    places = places_of(headers)
    for key in (b"from", b"to", b"x-from", b""):
        same = [place for place, name in enumerate(names) if name.rstrip(b" \t").lower() == key]
        assert list(places.get(key, ())) == same
        assert Message(Envelope(), headers).values(key) == [b"%d" % place for place in same]
