import pickle
import threading

import pytest

from synthwright.errors import ConfigError
from synthwright.retrieval.tokens import Tokenizer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Snow, snow; 42 x_1!", ["snow", "snow", "42", "x_1"]),
        ("Straße STRASSE ﬁne", ["strasse", "strasse", "fine"]),
        ("café cafe\u0301", ["café", "café"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Ελλάδα Москва", ["ελλάδα", "москва"]),
        ("北京大学 is 大", ["北京", "京大", "大学", "is", "大"]),
        ("東京タワー2つ", ["東京", "京タ", "タワ", "ワー", "2", "つ"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("", []),
        (" -- ... \n", []),
    ],
)
def test_words_of_any_script(text, words):
    assert Tokenizer()(text) == words


def test_ascii_and_unicode_text_are_split_alike():
    assert Tokenizer()("The Cat's 3.5 re-runs_x é") == [*Tokenizer()("The Cat's 3.5 re-runs_x"), "é"]


def test_stop_words_are_left_out_and_stems_taken():
    assert Tokenizer(stemmer="english", stop_words="english")("The sleeping cats are running") == [
        "sleep",
        "cat",
        "run",
    ]
    assert Tokenizer(stop_words=("CATS", "and"))("Cats and dogs") == ["dogs"]
    assert Tokenizer(stop_words=("b", "a")) == Tokenizer(stop_words=("a", "b", "a"))


def test_an_unknown_stemmer_or_list_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no stemmer 'englich'\. Did you mean 'english'"):
        Tokenizer(stemmer="englich")
    with pytest.raises(ConfigError, match=r"no list of stop words 'germann'\. Did you mean 'german'"):
        Tokenizer(stop_words="germann")


def test_a_tokenizer_can_be_pickled_and_used_by_many_threads():
    tokenizer = pickle.loads(pickle.dumps(Tokenizer(stemmer="english")))
    results = []
    threads = [
        threading.Thread(target=lambda: results.append([tokenizer("running dogs jumped") for _ in range(300)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[["run", "dog", "jump"]] * 300] * 4
