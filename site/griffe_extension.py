"""An extension of griffe: parameters of ``__new__``, and errors in docstrings as links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator


class Docstrings(griffe.Extension):
    """Shows the parameters of ``__new__`` as those of the class, and links errors to their page."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Give each module the names of all errors, so that those in its docstrings are found."""
        if "errors" not in pkg.members:  # Another package, of which ours inherits.
            return
        errors = pkg["errors"]
        for module in _modules(pkg):
            for name in errors.classes:
                if name not in module.members:
                    module.set_member(name, griffe.Alias(name, f"{errors.path}.{name}", runtime=False))

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Give the class an ``__init__`` with the parameters of its ``__new__``."""
        new = cls.members.get("__new__")
        if isinstance(new, griffe.Function) and "__init__" not in cls.members:
            parameters = griffe.Parameters(*new.parameters)
            cls.set_member("__init__", griffe.Function("__init__", parameters=parameters))


def _modules(module: griffe.Module) -> Iterator[griffe.Module]:
    """Yield a module and those in it."""
    yield module
    for inside in [*module.modules.values()]:
        if not inside.is_alias:
            yield from _modules(inside)
