"""What is read of a server's HTTP answer before anyone looks at what it says."""

import contextlib
import email.utils
import time

import httpx2

LONGEST_RETRY_AFTER = 600.0  # seconds; a server that asks for more is asked again after these
MAX_BODY_BYTES = 32 * 2**20  # of an answer; the longest replies take some hundred thousand


async def read_body(response: httpx2.Response) -> bytes:
    """
    What the server sends; it is read until it ends or is too large.

    Args:
        response (`httpx2.Response`): Being streamed.

    Returns:
        `bytes`: At most one piece more than `MAX_BODY_BYTES`.
    """
    content = bytearray()
    async with contextlib.aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > MAX_BODY_BYTES:
                break
    return bytes(content)


def read_retry_after(value: str | None) -> float:
    """
    Seconds to wait that a Retry-After header asks for (RFC 9110, 10.2.3), at most ten minutes.

    Args:
        value (`str`, *optional*): Seconds or an HTTP date; anything else asks for nothing.

    Example:

    ```python
    >>> read_retry_after("7"), read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), read_retry_after(None)
    (7.0, 0.0, 0.0)

    ```
    """
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)
