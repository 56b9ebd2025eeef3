"""The language of a document."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

UNKNOWN = "und"  # ISO 639-3
_LEAST_CONFIDENCE = 0.5
_PAGES = 40
_CHARACTERS = 500  # of each page: more changes no answer on the documents tried
# Spoken forms that are written as Chinese and that the classifier cannot tell from it in a page of prose
_WRITTEN = {"wuu": "zh", "yue": "zh"}


def language_of(texts: list[str]) -> tuple[str, float]:
    """
    The main language of a document, from the middle of pages all over it: a first page may be in another one.

    Args:
        texts (`list[str]`): Of its pages.

    Returns:
        `tuple[str, float]`: An ISO 639-1 code (639-3 for the few languages without one), and how certain it is, 0 to
        1; `("und", ...)` if it is not certain.

    Example:

    ```python
    >>> language_of(["Der Wetterbericht sagt für morgen Regen voraus.", "Im Süden bleibt es trocken und warm."])[0]
    'de'
    >>> language_of(["", "12.5"])[0]
    'und'

    ```
    """
    written = [text for text in texts if text.strip()]
    step = max(1, -(-len(written) // _PAGES))
    middles = [t[max(0, (len(t) - _CHARACTERS) // 2) :][:_CHARACTERS] for t in written[::step]]
    code, confidence = load_identifier().classify(" ".join(middles))
    return _WRITTEN.get(code, code), confidence


@cache
def load_identifier() -> LanguageIdentifier:
    """Loading the model takes more than half a second."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=_LEAST_CONFIDENCE)
