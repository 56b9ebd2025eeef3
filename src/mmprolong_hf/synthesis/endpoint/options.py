"""Which model is asked, where, how, and what it costs."""

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

# Hugging Face's router speaks OpenAI's format for every provider; `model:provider` names one of them.
ROUTER = "https://router.huggingface.co/v1"
HUGGING_FACE_KEY = "HF_TOKEN"
HUGGING_FACE_HOSTS = ("huggingface.co", "huggingface.cloud")  # the router and dedicated endpoints
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
HUGGING_FACE_TOKEN = re.compile(r"hf_.{27,}")  # would do as a name
STYLES = ("json", "tagged")
PRICED_TOKENS = 1_000_000


@dataclass(frozen=True)
class EndpointOptions:
    """
    A model behind any server that speaks OpenAI's chat completions.

    The key is not among the options: it is read from the environment when the endpoint is opened, and is in no file,
    log or pickle.

    Args:
        model (`str`): Name that the server knows the model by.
        base_url (`str`, *optional*): Of the server, with its version, e.g. `"http://localhost:8000/v1"`; Hugging
            Face's router if not given.
        provider (`str`, *optional*): Provider behind Hugging Face's router, e.g. `"together"`; it chooses one if not
            given.
        api_key_env (`str`, *optional*, defaults to `"HF_TOKEN"`): Environment variable that holds the key. `HF_TOKEN`
            is sent to hosts of Hugging Face alone; for another server name a variable of its own.
        style (`str`, *optional*, defaults to `"json"`): `"json"` sends a request's schema along, `"tagged"` does not:
            thinking models write better without it.
        temperature (`float`, *optional*, defaults to `0.7`): Of sampling.
        max_tokens (`int`, *optional*, defaults to `2048`): Longest reply, thinking included.
        timeout (`float`, *optional*, defaults to `120.0`): Seconds that one try may take.
        concurrency (`int`, *optional*, defaults to `8`): Calls at a time.
        max_retries (`int`, *optional*, defaults to `6`): Tries after the first.
        backoff (`float`, *optional*, defaults to `1.0`): Seconds that the first wait between tries may take; it
            doubles with each try, up to a minute.
        prompt_price (`float`, *optional*, defaults to `0.0`): USD per million tokens sent.
        completion_price (`float`, *optional*, defaults to `0.0`): USD per million tokens written.
        batch_discount (`float`, *optional*, defaults to `0.5`): Part of the price that a batch API takes off.

    Raises:
        ValueError: for both a `base_url` and a `provider`, a `base_url` with a user or key in it, a key in place of
            the name of its variable, an unknown style, or a number below its minimum.

    Example:

    ```python
    >>> options = EndpointOptions("Qwen/Qwen3-VL", provider="together", prompt_price=0.5, completion_price=1.5)
    >>> options.served_model, options.url
    ('Qwen/Qwen3-VL:together', 'https://router.huggingface.co/v1/chat/completions')
    >>> options.cost(30_000, 200)  # 0.015 + 0.0003
    0.0153
    >>> EndpointOptions("m", style="xml")
    Traceback (most recent call last):
    ...
    ValueError: style is 'xml', expected one of json, tagged

    ```
    """

    model: str
    base_url: str | None = None
    provider: str | None = None
    api_key_env: str = HUGGING_FACE_KEY
    style: str = "json"
    temperature: float = 0.7
    max_tokens: int = 2048
    timeout: float = 120.0
    concurrency: int = 8
    max_retries: int = 6
    backoff: float = 1.0
    prompt_price: float = 0.0
    completion_price: float = 0.0
    batch_discount: float = 0.5

    def __post_init__(self):
        # Before any message that repeats the address
        if self.base_url is not None and "@" in self.base_url:
            raise ValueError(
                "base_url holds an @, expected an address without a user name or key; put the key into an environment "
                "variable and name that in api_key_env"
            )
        if not VARIABLE_NAME.fullmatch(self.api_key_env) or HUGGING_FACE_TOKEN.fullmatch(self.api_key_env):
            raise ValueError(
                "api_key_env is not the name of an environment variable, expected e.g. 'HF_TOKEN'; if it is the key "
                "itself, put it into a variable and give the variable's name"
            )
        if self.base_url is not None and self.provider is not None:
            raise ValueError(
                f"base_url is {self.base_url} and provider {self.provider}, expected one of them; "
                "a provider is reached through Hugging Face's router"
            )
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url is {self.base_url!r}, expected it to start with http:// or https://")
        if self.style not in STYLES:
            raise ValueError(f"style is {self.style!r}, expected one of {', '.join(STYLES)}")
        for name in ("max_tokens", "concurrency"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("temperature", "max_retries", "backoff", "prompt_price", "completion_price"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 0")
        if self.timeout <= 0:
            raise ValueError(f"timeout is {self.timeout}, expected more than 0 seconds")
        if not 0 <= self.batch_discount < 1:
            raise ValueError(f"batch_discount is {self.batch_discount}, expected a part from 0 up to 1")

    @property
    def served_model(self) -> str:
        """The model as it is named to the server."""
        return self.model if self.provider is None else f"{self.model}:{self.provider}"

    @property
    def url(self) -> str:
        """Where requests are sent."""
        return f"{(self.base_url or ROUTER).rstrip('/')}/chat/completions"

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """USD of a call."""
        return (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / PRICED_TOKENS

    def read_key(self) -> str | None:
        """
        The key for this server from the environment, or `None` if there is none for it.

        Hugging Face's token goes to no other host, though its variable is the default.

        Raises:
            ValueError: for a key that no HTTP header can hold.
        """
        host = urlsplit(self.url).hostname or ""
        ours = any(host == name or host.endswith(f".{name}") for name in HUGGING_FACE_HOSTS)
        if self.api_key_env == HUGGING_FACE_KEY and not ours:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ValueError(
                f"the key in {self.api_key_env} holds a line break or another character that no key has, expected "
                "one line of ASCII characters; set the variable again"
            )
        return key or None
