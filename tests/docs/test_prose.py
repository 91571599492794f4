"""What `prose.py` takes for a sentence, and what it asks about one."""

from __future__ import annotations

import unittest

from prose import WORDS_MAX, Sentence, new_sentences, sentences

LONG = " ".join(["word"] * (WORDS_MAX + 1)) + "."

SPLITS: list[tuple[str, str, list[tuple[int, str]]]] = [
    ("one sentence over two lines", "A pod\nis denied.\n", [(1, "A pod is denied.")]),
    ("two sentences of one line", "One. Two!\n", [(1, "One."), (1, "Two!")]),
    ("the second starts on the second line", "One\ntwo. Three.\n", [(1, "One two."), (2, "Three.")]),
    ("a paragraph without a full stop", "It has:\n\nNext.\n", [(1, "It has:"), (3, "Next.")]),
    ("full stops in code and numbers", "See `a. b` and 1.30 of x.yaml. End.", [(1, "See `a. b` and 1.30 of x.yaml."), (1, "End.")]),
    ("abbreviations", "A tool (e.g. jq) works.", [(1, "A tool (e.g. jq) works.")]),
    ("a full stop before a bracket", "(One.) Two.", [(1, "(One.)"), (1, "Two.")]),
    ("bold", "**One.** Two.", [(1, "**One.**"), (1, "Two.")]),
    ("items", "- one\n  two\n- three\n1. four\n", [(1, "one two"), (3, "three"), (4, "four")]),
    ("a heading", "# One\nTwo.\n", [(1, "One"), (2, "Two.")]),
    ("cells, without the rule", "| a | b |\n|---|:-:|\n| One. Two. | c |\n", [(1, "a"), (1, "b"), (3, "One."), (3, "Two."), (3, "c")]),
    ("a bar that is text", r"| a \| b | c |", [(1, r"a \| b"), (1, "c")]),
    ("blocks of code", "One.\n```sh\necho two. three.\n```\nFour.\n", [(1, "One."), (5, "Four.")]),
    ("a fence in a longer one", "````\n```\nOne.\n````\nTwo.\n", [(5, "Two.")]),
    ("a quotation", "> One\n> two.\n", [(1, "One two.")]),
]

QUESTIONS: list[tuple[str, list[str]]] = [
    ("PoolGuard denies the pod.", []),
    (LONG, [f"{WORDS_MAX + 1} words in one sentence: could it be two?"]),
    (LONG.replace("word word", "`kubectl get nodes -A`", 1), []),
    ("Nobody can read it.", ['"Nobody": who acts?']),
    ("The user is told why.", ['"is told": who reports what to whom?']),
    ("Add it, so that the pod can start.", ['"so that": is it a purpose? For a consequence, write ", so" or a second sentence.']),
    ("Add it so that the pod can start.", []),
    ("A pod of AutoMQ's waits.", ['"of AutoMQ\'s": could the noun come first, as in "the AutoMQ pods"?']),
    ("AutoMQ's pods wait.", []),
    ("See [the page](audit.md#nobody).", []),
    ("`whatever` is a name.", []),
    ("<!-- whoever --> One.", []),
]


class Prose(unittest.TestCase):
    def test_pages_are_split_into_sentences(self) -> None:
        for name, page, expected in SPLITS:
            with self.subTest(name):
                self.assertEqual([tuple(sentence) for sentence in sentences(page)], expected)

    def test_long_sentences_and_phrases_are_asked_about(self) -> None:
        for text, expected in QUESTIONS:
            with self.subTest(text):
                self.assertEqual([*Sentence(1, text).questions()], expected)

    def test_only_new_sentences_count(self) -> None:
        before = "One. Two\nthree. Four.\n"
        after = "Four.\n\nFive.\nTwo three.\n"
        self.assertEqual(new_sentences(before, after), [Sentence(3, "Five.")])


if __name__ == "__main__":
    unittest.main()
