"""An extension of griffe: a class without ``__init__`` takes what its ``__new__`` takes."""

from __future__ import annotations

from typing import Any

import griffe


class Constructors(griffe.Extension):
    """Shows the parameters of ``__new__`` as those of the class."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Give the class an ``__init__`` with the parameters of its ``__new__``."""
        new = cls.members.get("__new__")
        if isinstance(new, griffe.Function) and "__init__" not in cls.members:
            parameters = griffe.Parameters(*new.parameters)
            cls.set_member("__init__", griffe.Function("__init__", parameters=parameters))
