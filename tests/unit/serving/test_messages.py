"""Frames: whatever way bytes are cut, the same messages come out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving import messages
from mlengine.serving.messages import HEADER, LARGEST_BODY, Frame, FrameReader, pack

FRAMES = st.lists(
    st.builds(
        Frame,
        id=st.integers(0, 2**32 - 1),
        kind=st.integers(0, 2**16 - 1),
        status=st.integers(0, 2**16 - 1),
        body=st.binary(max_size=40),
        skipped=st.just(0),
    ),
    max_size=6,
)


def wire(frames: list[Frame]) -> bytes:
    return b"".join(pack(f.body, id=f.id, kind=f.kind, status=f.status) for f in frames)


@given(frames=FRAMES, data=st.data())
def test_frames_come_out_as_they_went_in_wherever_the_bytes_are_cut(
    frames: list[Frame], data: st.DataObject
) -> None:
    raw = wire(frames)
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=8))
    reader = FrameReader()

    read = [frame for a, b in pairwise(sorted([0, *cuts, len(raw)])) for frame in reader.feed(raw[a:b])]

    assert read == frames
    assert not reader.unfinished


@given(missing=st.integers(1, HEADER.size + 4))
def test_a_frame_that_has_begun_is_unfinished_until_its_last_byte(missing: int) -> None:
    raw = pack(b"body", id=1, kind=1)
    reader = FrameReader()

    assert reader.feed(raw[:-missing]) == []
    assert reader.unfinished == (missing < len(raw))
    assert reader.feed(raw[-missing:]) == [Frame(1, 1, 0, b"body")]
    assert not reader.unfinished


def test_a_body_over_the_limit_is_told_at_once_and_skipped() -> None:
    reader = FrameReader()
    after = pack(b"next", id=2, kind=1)
    piece = b"x" * (1 << 20)

    told = reader.feed(HEADER.pack(LARGEST_BODY + 3, 1, 1, 0))
    for _ in range(LARGEST_BODY // len(piece)):
        assert reader.feed(piece) == []
        assert reader.unfinished
    rest = reader.feed(b"xxx" + after)

    assert told == [Frame(1, 1, 0, b"", skipped=LARGEST_BODY + 3)]
    assert rest == [Frame(2, 1, 0, b"next")]


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    reader = FrameReader()
    body = bytes(messages.LARGEST_BODY)

    (frame,) = reader.feed(pack(body, id=1, kind=1))

    assert (len(frame.body), frame.skipped) == (LARGEST_BODY, 0)
