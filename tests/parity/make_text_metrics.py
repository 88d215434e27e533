#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Expected values for tests/test_text_metrics.c and tests/test_slots.c.

    pip install sacrebleu rouge-score scikit-learn
    python3 tests/parity/make_text_metrics.py

writes tests/parity/fixtures/text_metrics.json and slots.json. Made with sacrebleu 2.6 (chrF2),
rouge-score 0.1.2 (ROUGE-L) and scikit-learn 1.9 (micro F1 of slots). The word F1 of SQuAD has no
package: it is written out below from its definition, with Python's own regular expressions.
"""

import collections
import json
import pathlib
import random
import re
import string

from rouge_score import rouge_scorer
from sacrebleu.metrics import CHRF
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

FIXTURES = pathlib.Path(__file__).parent / "fixtures"

TEXTS = [
    "The ferry to the island leaves at seven, and the last one returns at dusk.",
    "A committee of five reviewed the plan; an answer is expected within the week.",
    "the the the a an a",
    "It's not the bread's fault (or the baker's) -- the oven was cold!",
    "Please send 3.5 kg of apples, 12 eggs & 1 loaf to 14-B Mill Road.",
    "snake_case and CamelCase and under_scored_words_with_the_article",
    "Die Straße führt über den Fluß; Ärger gibt's dort nie. ÄÖÜ",
    "Le garçon a dit : « où est l’été ? » — à bientôt…",
    "Привет, как ДЕЛА? Сегодня ЁЛКА стоит у окна.",
    "Η ΚΑΛΗ ΜΕΡΑ από το πρωί φαίνεται",
    "今日は天気がいいですね。散歩に行きましょう。",
    "مرحبا بالعالم، كيف الحال اليوم؟",
    "273 \u212a is cold, \u0130stanbul is not",
    "naïve cafe\u0301 re\u0301sume\u0301 a\u0301 la carte",
    "tabs\tand\nnew lines\u00a0and no\u2003break\u3000spaces\x1c here\x85",
    "emoji 🙂🙂 and flags 🇩🇪 count as characters",
    "ab",
    "a",
    "",
    "...!?",
    "one two three four five six seven eight nine ten",
    "aaaaaaaaaaaa aaaaaa",
    "x–the–y and “an” apple (a) b",
    "Umbrella stands by the door because the forecast promised heavy rain until Thursday "
    "evening, when a dry wind from the east should clear the sky over the whole valley.",
]


def change(generator, text):
    """The text as somebody else might have put it."""
    words = text.split(" ")
    kind = generator.randrange(6)
    if kind == 0 and len(words) > 2:
        del words[generator.randrange(len(words))]
    elif kind == 1 and len(words) > 2:
        i = generator.randrange(len(words) - 1)
        words[i], words[i + 1] = words[i + 1], words[i]
    elif kind == 2:
        words.insert(generator.randrange(len(words) + 1), generator.choice(words))
    elif kind == 3:
        generator.shuffle(words)
    elif kind == 4:
        return text.upper() if generator.random() < 0.5 else text[: len(text) // 2]
    else:
        i = generator.randrange(len(text) + 1)
        return text[:i] + generator.choice("xyz ,é") + text[i:]
    return " ".join(words)


def squad_words(text):
    kept = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def token_f1(answer, target):
    a, b = squad_words(answer), squad_words(target)
    if not a or not b:
        return float(a == b)
    common = sum((collections.Counter(a) & collections.Counter(b)).values())
    if not common:
        return 0.0
    precision, recall = common / len(a), common / len(b)
    return 2 * precision * recall / (precision + recall)


def pairs():
    generator = random.Random(5)
    for text in TEXTS:
        yield text, text
        for _ in range(4):
            changed = change(generator, text)
            yield changed, text
            yield change(generator, change(generator, changed)), text
        yield generator.choice(TEXTS), text


def text_cases():
    chrf = CHRF()
    rouge = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    for answer, target in pairs():
        yield {
            "answer": answer,
            "target": target,
            "token_f1": token_f1(answer, target),
            "rouge_l": rouge.score(target, answer)["rougeL"].fmeasure,
            "chrf": chrf.sentence_score(answer, [target]).score / 100,
        }


def write_texts():
    cases = list(text_cases())
    groups = []
    for first, last in [(0, len(cases)), (0, 10), (40, 90), (100, 101)]:
        group = cases[first:last]
        answers, targets = [c["answer"] for c in group], [c["target"] for c in group]
        whole = CHRF().corpus_score(answers, [targets]).score / 100
        groups.append({"first": first, "count": len(group), "chrf": whole})
    lines = ",\n".join(json.dumps(case) for case in cases)
    whole = ",\n".join(json.dumps(group) for group in groups)
    (FIXTURES / "text_metrics.json").write_text(
        '{"pairs": [\n' + lines + '\n],\n"groups": [\n' + whole + "\n]}\n")


KEYS = ["artist", "city", "date", "playlist", "party_size", "items"]
VALUES = ["Oslo", "new york", "tomorrow at 5", "3", "Ana Lopez", "jazz", "Zürich", "two words"]


def make_record(generator):
    """A flat record, or one with an object in it and lists."""
    record = {k: generator.choice(VALUES) for k in generator.sample(KEYS, generator.randrange(5))}
    if generator.random() < 0.3:
        record["place"] = {"city": generator.choice(VALUES), "floor": generator.randrange(4)}
    if generator.random() < 0.3:
        record["tags"] = generator.sample(VALUES, generator.randrange(1, 4))
    if generator.random() < 0.2:
        record["people"] = [{"name": n, "age": generator.randrange(9)}
                            for n in generator.sample(VALUES, 2)]
    return record


def answer_record(generator, record):
    answer = json.loads(json.dumps(record))
    for key in list(answer):
        chance = generator.random()
        if chance < 0.15:
            del answer[key]
        elif chance < 0.3:
            answer[key] = generator.choice(VALUES)
        elif chance < 0.4 and isinstance(answer[key], list):
            answer[key].reverse()
        elif chance < 0.5 and isinstance(answer[key], str):
            answer[key] = answer[key].upper() + "."
    if generator.random() < 0.2:
        answer["extra"] = generator.choice([True, None, 7, 2.5, "jazz"])
    items = list(answer.items())
    generator.shuffle(items)
    return dict(items)


def scalar(value):
    if isinstance(value, (dict, list)):
        value = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    elif value is None or isinstance(value, bool):
        value = json.dumps(value)
    return " ".join(str(value).lower().split()).rstrip(".,:;!?")


def slots(value, path=""):
    if isinstance(value, dict):
        for key, part in value.items():
            yield from slots(part, path + ("." if path else "") + key)
    elif isinstance(value, list):
        for item in value:
            yield path, scalar(item)
    else:
        yield path, scalar(value)


def read(text):
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return list(slots(value)) if isinstance(value, (dict, list)) else None


def slot_case(generator):
    record = make_record(generator)
    answer = json.dumps(answer_record(generator, record), ensure_ascii=generator.random() < 0.5,
                        indent=generator.choice([None, 2]))
    broken = generator.random()
    if broken < 0.1:
        answer = answer[:-1]
    elif broken < 0.15:
        answer = "Here it is: " + answer
    elif broken < 0.2:
        answer = json.dumps(generator.choice(VALUES))
    target = json.dumps(record)
    a, b = read(answer), read(target)
    hits = sum((collections.Counter(a or []) & collections.Counter(b)).values())
    return {"answer": answer, "target": target, "answered": len(a or []), "expected": len(b),
            "hits": hits, "match": a is not None and sorted(a) == sorted(b)}


def write_slots():
    generator = random.Random(6)
    cases = [slot_case(generator) for _ in range(120)]
    sets = [[set(read(c[side]) or []) for c in cases] for side in ("target", "answer")]
    assert all(len(s) == len(read(c["target"])) for s, c in zip(sets[0], cases)), "slots repeat"
    coder = MultiLabelBinarizer().fit(sets[0] + sets[1])
    whole = f1_score(coder.transform(sets[0]), coder.transform(sets[1]), average="micro")
    lines = ",\n".join(json.dumps(case) for case in cases)
    (FIXTURES / "slots.json").write_text(
        '{"pairs": [\n' + lines + '\n],\n"slot_f1": ' + json.dumps(float(whole)) + "}\n")


write_texts()
write_slots()
