"""What a server says of its prefix cache."""


def read_cached_tokens(body: dict) -> int | None:
    """
    Tokens of the prompt that the server had computed before, from `prompt_tokens_details` of a chat completion's usage.

    OpenAI tells them; vLLM does with `--enable-prompt-tokens-details`.

    Args:
        body (`dict`): A chat completion.

    Returns:
        `int` or `None`: `None` from a server that does not tell, or tells what cannot be.

    Example:

    ```python
    >>> read_cached_tokens({"usage": {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}})
    8
    >>> read_cached_tokens({"usage": {"prompt_tokens": 9}}) is None
    True

    ```
    """
    match body:
        case {"usage": {"prompt_tokens": int() as sent, "prompt_tokens_details": {"cached_tokens": int() as cached}}}:
            return cached if 0 <= cached <= sent else None
    return None
