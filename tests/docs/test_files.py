"""The list of files in ARCHITECTURE.md."""

import unittest

import files


class Files(unittest.TestCase):
    def test_the_list_is_that_of_the_code(self):
        self.assertEqual(files.parts()[1], files.render(), "`make docs` writes it again")

    def test_every_file_says_what_it_is(self):
        for source in files.sources():
            with self.subTest(file=source):
                self.assertGreater(len(files.first_sentence(source)), 10)


if __name__ == "__main__":
    unittest.main()
