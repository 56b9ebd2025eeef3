"""Many calls to one server at a time, their results one by one in ordinary code."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from mmprolong_hf.synthesis.endpoint import Endpoint

Item = TypeVar("Item")
Result = TypeVar("Result")


def as_they_come(
    endpoint: Endpoint, call: Callable[[Item], Awaitable[Result]], items: Iterable[Item]
) -> Iterator[Result]:
    """
    Start a call for every item, and yield each result when it is there, in any order.

    The event loop runs in this thread and only while a result is waited for, so one that is yielded can be written to disk
    before the next one is taken. When the caller stops early, or a call raises, the calls that are under way are stopped.

    Args:
        endpoint (`Endpoint`): Open while the calls are made; it bounds how many of them are sent at a time.
        call (`Callable[[Item], Awaitable[Result]]`): What asks the endpoint.
        items (`Iterable[Item]`): What is asked about.

    Raises:
        RuntimeError: inside a running event loop, e.g. of a notebook.
    """
    with asyncio.Runner() as runner:
        results = _results(endpoint, call, items)

        async def step() -> Result:
            return await anext(results)

        while True:
            try:
                result = runner.run(step())
            except StopAsyncIteration:
                return
            yield result


async def _results(
    endpoint: Endpoint, call: Callable[[Item], Awaitable[Result]], items: Iterable[Item]
) -> AsyncIterator[Result]:
    async with endpoint:
        tasks = [asyncio.ensure_future(call(item)) for item in items]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
