"""Text that comes in pieces, from Python."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny import make

from ishowtts import Engine, IshowError, TextError

WORDS = re.findall(r" ?\S+", "Good evening, everybody. It is nice to see you all here tonight.")
FAST = {"nfe": 2, "seed": 3}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    model: Path = make(tmp_path_factory.mktemp("model") / "tiny")
    with Engine.load(model, threads=1, backend="eager") as engine:
        tone = (0.2 * np.sin(0.03 * np.arange(48000))).astype(np.float32)
        engine.add_voice("tone", tone, "A steady tone.", "en", sample_rate=24000)
        yield engine


def test_speech_begins_before_the_text_ends(engine: Engine) -> None:
    with engine.session(idle_ms=60000, **FAST) as session:  # type: ignore[arg-type]
        session.write("Good evening, my dear friends, I")
        assert next(session).size
        session.write(" am here.")
        session.end()
        assert sum(piece.size for piece in session)
        assert session.timings["chunks"] == 3 and session.timings["seed"] == 3
        with pytest.raises(IshowError, match="has ended"):
            session.write("Late.")


def test_a_writer_in_its_own_thread(engine: Engine) -> None:
    with engine.session(**FAST) as session:  # type: ignore[arg-type]
        session.write_from(WORDS)
        assert sum(piece.size for piece in session) > 24000


def test_what_a_writer_raises_reaches_the_reader(engine: Engine) -> None:
    def words() -> Iterator[str]:
        yield "Good evening, my dear friends, I"
        raise OSError("the language model has gone")

    with engine.session(idle_ms=60000, **FAST) as session, pytest.raises(OSError, match="has gone"):  # type: ignore[arg-type]
        session.write_from(words())
        for _ in session:
            pass


def test_the_tail_is_replaced_and_flushed(engine: Engine) -> None:
    with engine.session(idle_ms=60000, **FAST) as session:  # type: ignore[arg-type]
        session.write("never said")
        assert session.set_text("Hm") == 0
        session.flush()
        assert next(session).size
        assert session.set_text("Well") == 2
        session.end()
        assert sum(piece.size for piece in session)
        assert session.timings["chunks"] == 2


def test_a_fast_writer_waits_and_a_cancel_wakes_it(engine: Engine) -> None:
    with engine.session(idle_ms=60000, nfe=64) as session:
        session.write("a" * 4000)
        with pytest.raises(TextError) as full:
            session.write("b" * 4000, timeout=0)
        assert full.value.status == "EAGAIN" and full.value.field == "text"
        threading.Timer(0.1, session.cancel).start()
        with pytest.raises(IshowError) as gone:
            session.write("b" * 5000)
        assert gone.value.status == "ECANCELLED"
    with pytest.raises(TextError, match="at most 5000"), engine.session() as session:
        session.write("a" * 5001)
    with pytest.raises(IshowError, match="whole text"), engine.session(fix_duration=3.0):
        pass


def test_asyncio(engine: Engine) -> None:
    async def words() -> AsyncIterator[str]:
        for word in WORDS:
            await asyncio.sleep(0)
            yield word

    async def broken() -> AsyncIterator[str]:
        yield "Good evening, my dear friends, I"
        raise OSError("the language model has gone")

    async def all_of_it() -> None:
        async with engine.session(**FAST) as session:  # type: ignore[arg-type]
            session.write_from(words())
            assert sum([piece.size async for piece in session]) > 24000
        async with engine.session(idle_ms=60000, **FAST) as session:  # type: ignore[arg-type]
            await session.write("Hm")
            session.flush()
            assert (await anext(session)).size
            assert session.set_text("Well") == 2
            session.end()
            assert [piece async for piece in session]
        async with engine.session(idle_ms=60000, **FAST) as session:  # type: ignore[arg-type]
            session.write_from(broken())
            with pytest.raises(OSError, match="has gone"):
                async for _ in session:
                    pass
        with pytest.raises(IshowError, match="closed"):
            await session.write("Late.")

    asyncio.run(all_of_it())
