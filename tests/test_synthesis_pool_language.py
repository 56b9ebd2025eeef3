"""The language of a document."""

from mmprolong_hf.synthesis.pool.language import language_of

ENGLISH = "The river rises in the mountains and reaches the sea after three hundred miles of forest and farmland."
GERMAN = "Der Fluss entspringt in den Bergen und erreicht nach fünfhundert Kilometern durch Wald und Felder das Meer."
CHINESE = "这条河发源于高山，流经森林和农田，经过五百公里之后汇入大海。"


def test_an_english_title_page_makes_no_english_document():
    assert language_of([ENGLISH] + [GERMAN] * 9)[0] == "de"
    assert language_of([GERMAN] + [ENGLISH] * 9)[0] == "en"
    assert language_of([CHINESE] * 4)[0] == "zh"


def test_confidence_tells_prose_from_figures():
    language, confidence = language_of([ENGLISH * 5] * 10)
    assert (language, confidence > 0.9) == ("en", True)
    assert language_of(["12.5 13.7 99"] * 10)[0] == "und"
    assert language_of([]) == language_of(["", " \n"])


def test_long_documents_are_read_all_over():
    assert language_of([ENGLISH] * 100 + [GERMAN * 3] * 300)[0] == "de"
