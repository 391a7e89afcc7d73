"""The package as a whole: what importing it gives and costs."""

import idmerge


def test_the_version_is_the_one_of_the_core() -> None:
    assert idmerge.__version__.count(".") == 2
