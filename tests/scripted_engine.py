"""An engine that knows its answers, for tests of what stands around engines."""

import time
from collections.abc import Iterator, Mapping
from io import BytesIO

from PIL import Image

from mmprolong_hf.evaluation.requests import Answer, Ask, Context, PageImage


class ScriptedEngine:
    """
    Answers each question as the script says: a text, or an error where the text begins with "error: ". A question
    that is not in the script is passed over. `seconds` passes before each answer.
    """

    def __init__(self, script: Mapping[str, str], name: str = "scripted", seconds: float = 0.0):
        self.script, self.name, self.seconds = script, name, seconds
        self.asked: list[str] = []

    def answer(self, context: Context) -> Iterator[Answer]:
        for ask in context.asks:
            self.asked.append(ask.id)
            if ask.id not in self.script:
                continue
            time.sleep(self.seconds)
            text = self.script[ask.id]
            if text.startswith("error: "):
                yield Answer(ask.id, "", error=text.removeprefix("error: "))
            else:
                yield Answer(ask.id, text, prompt_tokens=100, prefilled_tokens=20, largest_position=50)


def png(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("L", (8, 8), shade).save(buffer, "PNG")
    return buffer.getvalue()


def context(number: int, num_asks: int = 2, text: str = "Why?") -> Context:
    asks = tuple(Ask(f"{number}/{k}", f"{text} {k}", "Answer:") for k in range(num_asks))
    return Context((f"Document {number}: ", PageImage(png(number))), asks)
