import random
import re

import pytest

from mmprolong_hf.demo.yearbook import NUM_YEARS, Measure, Topic, Writer, Yearbook, load_words, make_yearbook


def numbers(text):
    return {int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?<!,)", text)}


def test_same_seed_same_yearbook():
    assert make_yearbook(3) == make_yearbook(3)
    assert make_yearbook(3) != make_yearbook(4)


def test_every_measure_has_a_figure_for_every_district_and_year():
    book = make_yearbook(0)
    assert len(book.years) == NUM_YEARS
    for topic in book.topics:
        assert len(topic.sections) == len(topic.measures)
        for measure in topic.measures:
            assert tuple(measure.values) == book.districts
            assert all(len(values) == NUM_YEARS and min(values) >= 1 for values in measure.values.values())


@pytest.mark.parametrize("words", load_words()["topics"], ids=lambda words: words["title"])
def test_every_topic_fills_its_sections(words):
    """A section needs a measure and a remark of its own; what is written holds no slot left open."""
    assert len(words["sections"]) == len(words["measures"]) <= len(words["remarks"])
    book = make_yearbook(0)
    measures = tuple(Measure(name, unit, book.topics[0].measures[0].values) for name, unit, _, _ in words["measures"])
    topic = Topic(words["title"], tuple(words["sections"]), measures, words)
    writer = Writer(Yearbook(book.title, book.years, book.districts, (topic,)), random.Random(0))
    texts = [writer.opening(topic, "Table 1")]
    for measure in measures:
        texts += [writer.overview(topic, measure, "Table 2", "table"), writer.extremes(topic, measure)]
        texts.append(writer.trends(topic, measure))
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert "{" not in text
        assert text.endswith(".")


def test_text_agrees_with_the_figures():
    book = make_yearbook(1)
    writer = Writer(book, random.Random(1))
    for topic in book.topics:
        for measure in topic.measures:
            last = [values[-1] for values in measure.values.values()]
            known = {*last, *(values[0] for values in measure.values.values()), *book.years}
            assert sum(last) in numbers(writer.overview(topic, measure, "Table", "table"))
            assert numbers(writer.trends(topic, measure)) <= known
            extremes = numbers(writer.extremes(topic, measure)) - set(book.years)
            assert extremes <= {max(last), min(last)}


def test_a_shared_highest_figure_is_not_said_to_be_one_districts():
    words = load_words()["topics"][0]
    measure = Measure("samples taken", "tests", {"Alderton": (5, 90), "Calder": (5, 90), "Merrow": (5, 7)})
    topic = Topic("Drinking Water", tuple(words["sections"]), (measure,), words)
    writer = Writer(Yearbook("Yearbook", (2020, 2021), ("Alderton", "Calder", "Merrow"), (topic,)), random.Random(0))
    text = writer.extremes(topic, measure)
    assert "7 tests" in text
    assert "90" not in text
