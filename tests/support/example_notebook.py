"""The notebook in examples/, executed anew; run as a program, it writes the new outputs into it.

python tests/support/example_notebook.py
"""

from __future__ import annotations

from typing import Any

import nbformat
from nbclient import NotebookClient

from paths import EXAMPLES

NOTEBOOK = EXAMPLES / "three-questions.ipynb"


def opened() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def executed() -> Any:
    """Return the notebook with the outputs of a fresh kernel; a cell that fails is an error."""
    notebook = opened()
    for cell in notebook.cells:
        cell.metadata.clear()
    client = NotebookClient(
        notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    notebook = client.execute()
    notebook.metadata.language_info = {"name": "python"}  # The rest of it is the machine's.
    return notebook


def shown(cell: Any) -> list[tuple[str, str]]:
    """Return what stands below a cell: kinds of outputs, and their texts but for pictures.

    A busy machine may hand over one text in two parts, which are one here.
    """
    outputs: list[tuple[str, str]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            before = outputs.pop()[1] if outputs and outputs[-1][0] == output.name else ""
            outputs.append((output.name, before + output.text))
        else:
            kinds = " ".join(sorted(output.data))
            outputs.append((kinds, "" if "image/png" in output.data else output.data["text/plain"]))
    return outputs


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
