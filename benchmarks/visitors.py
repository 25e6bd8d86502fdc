"""Thirty visitors of one server, as in a workshop: each a websocket, as a browser opens one."""

import asyncio
import re
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

from benchmarks.table import Row
from tests.browser.server import running_server

VISITORS = 30
# Pages of long work; the seed makes it new.
LINKS = {
    "compare": "in=256&out=256",
    "propagation": "depth=30",
    "spectrum": "inputs=256&depth=10",
    "race": "steps=100",
    "audit": "source=model&model=gpt",
}


async def _visit(url: str, page: str, query: str) -> None:
    """Open a page and wait until the server has sent all of it."""
    ask = BackMsg()
    ask.rerun_script.page_name, ask.rerun_script.query_string = page, query
    async with connect(f"{url.replace('http', 'ws')}/_stcore/stream", max_size=None) as browser:
        await browser.send(ask.SerializeToString())
        async for data in browser:
            told = ForwardMsg.FromString(data)
            if told.WhichOneof("type") == "script_finished":
                if told.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return
            elif told.delta.new_element.HasField("exception"):
                raise RuntimeError(told.delta.new_element.exception.message)
    raise RuntimeError(f"the server left before {page} was whole")


async def _seconds(url: str, visitors: int, seed: int) -> float:
    """How long the pages take, one after the other, each until the last visitor has it."""
    began = time.perf_counter()
    for page, query in LINKS.items():
        link = f"{query}&seed={seed}"
        await asyncio.gather(*(_visit(url, page, link) for _ in range(visitors)))
    return time.perf_counter() - began


@cache
def _workshop() -> tuple[float, float, float]:
    """Seconds of one visitor, of thirty at once, and the server's peak memory in MB."""
    with TemporaryDirectory() as logs, running_server(Path(logs, "log.txt")) as (url, pid):

        async def visits() -> tuple[float, float]:
            await _seconds(url, 1, 0)  # warm-up: the imports
            return await _seconds(url, 1, 1), await _seconds(url, VISITORS, 2)

        one, thirty = asyncio.run(visits())
        status = Path(f"/proc/{pid}/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6  # type: ignore[index]
    return one, thirty, peak


def thirty_to_one(quick: bool) -> Row:
    one, thirty, _ = _workshop()
    name = f"{VISITORS} visitors open {len(LINKS)} pages of long work at once ÷ one visitor"
    # Sharing nothing would make it thirty.
    return Row(name, f"{thirty:.1f} s", f"{one:.1f} s", thirty / one, must=10, aim=5)


def server_memory(quick: bool) -> Row:
    *_, peak = _workshop()
    name = f"peak memory of the server of those {VISITORS} visitors"
    return Row(name, f"{peak:.0f} MB", "", peak, must=690, unit="MB")


ROWS = (thirty_to_one, server_memory)
