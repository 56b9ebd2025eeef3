"""Asks a model until its reply can be read, once more at most, and gathers what was answered before a run stops."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from string import Template
from typing import TypeVar

from ..endpoint import BudgetSpent, Endpoint, EndpointRefused, Pending, Request
from .fields import ParseError
from .prompting import load_prompt, prompt_id

SHOWN_REPLY = 4_000  # characters of a bad reply that the model is shown again
# What stops a run, the gravest first; any other exception is a fault of the program and graver still
_STOPS = (EndpointRefused, BudgetSpent, Pending)
Parsed = TypeVar("Parsed")


async def ask_parsed(endpoint: Endpoint, request: Request, parse: Callable[[str], Parsed]) -> Parsed:
    """
    Ask, and read the reply; if it cannot be read, show it to the model once and ask for a better one.

    Args:
        endpoint (`Endpoint`): Who is asked.
        request (`Request`): What is asked.
        parse (`Callable[[str], Parsed]`): Reads a reply or raises a `ParseError`.

    Raises:
        ParseError: if the second reply cannot be read either.
        RequestFailed, BudgetSpent, EndpointRefused, Pending: as the endpoint.
    """
    reply = await endpoint.ask(request)
    try:
        return parse(reply.text)
    except ParseError as error:
        better = await endpoint.ask(repair_request(request, reply.text, str(error)))
    return parse(better.text)


def repair_request(request: Request, reply: str, problem: str) -> Request:
    """
    The same request with a reply that could not be used, and why.

    Args:
        request (`Request`): What was asked.
        reply (`str`): What was answered; its end is shown, where the answer of a thinking model stands.
        problem (`str`): What is wrong with it.
    """
    core = load_prompt("repair")
    shown = reply[-SHOWN_REPLY:].encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    words = Template(core).substitute(problem=problem, reply=shown.strip())
    return Request(
        prompt=prompt_id("repair", request.prompt, core),
        content=(*request.content, words),
        schema=request.schema,
        system=request.system,
    )


async def gather_all(asked: Iterable[Coroutine[None, None, Parsed]]) -> list[Parsed]:
    """
    The results of several requests in their order, or, when each has ended, the gravest exception among them.

    So no request is left halfway: when a budget is spent or a batch is exported, the others of the document are answered, or
    exported, as well.

    Args:
        asked (`Iterable[Coroutine]`): What to run at once.

    Raises:
        EndpointRefused, BudgetSpent, Pending: the first named that any of them raised.
    """
    results = await asyncio.gather(*asked, return_exceptions=True)
    stops = [result for result in results if isinstance(result, BaseException)]
    if stops:
        raise min(stops, key=lambda stop: _STOPS.index(type(stop)) if type(stop) in _STOPS else -1)
    return results
