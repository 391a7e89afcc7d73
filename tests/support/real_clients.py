"""Real clients from their registries, and scripts that use them; what cannot be had is skipped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from live_server import PATIENCE
from paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPTS = ROOT / "tests" / "server" / "clients"
DEVICE = "0b0f7d52-55a8-4be5-a1f0-67c1c7a7a1f2"
_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>test</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>
  </dependencies>
</project>
"""


def of_npm(folder: Path, packages: Mapping[str, str]) -> Path:
    """Return the folder of some packages, as their registry has them in these versions."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    install = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", *wanted]
    done = subprocess.run(install, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {', '.join(wanted)}: {done.stderr.strip()[-300:]}")
    return folder / "node_modules"


def of_maven(folder: Path, group: str, artifact: str, version: str) -> str:
    """Return the class path of a library and what it needs, as Maven's repository has them."""
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        pytest.skip("Maven or a Java compiler is not installed")
    (folder / "pom.xml").write_text(_POM.format(group=group, artifact=artifact, version=version))
    path = folder / "classpath"
    command = ["mvn", "-q", "-B", "dependency:build-classpath", f"-Dmdep.outputFile={path}"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"Maven cannot resolve {artifact} {version}: {done.stdout.strip()[-300:]}")
    return path.read_text().strip()


def run_node(script: str, node_modules: Path, *arguments: str) -> Any:
    """Return the JSON that a script prints last."""
    return run(node_command(script, *arguments), node_environment(node_modules))


def node_command(script: str, *arguments: str) -> list[str]:
    return ["node", str(SCRIPTS / script), *arguments]


def node_environment(node_modules: Path) -> dict[str, str]:
    return {**os.environ, "NODE_PATH": str(node_modules)}


def run(command: list[str], environment: Mapping[str, str] | None = None) -> Any:
    """Return the JSON that a command prints last."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=4 * PATIENCE, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def of_the_sdk(sequences: list[Any], page: str, chromium: str, node_modules: Path) -> list[Any]:
    """Return what mixpanel-browser on a page sends at each sequence of calls."""
    done = subprocess.run(
        node_command("sdk_calls.js", page, chromium),
        input=json.dumps(sequences),
        env=node_environment(node_modules),
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sent: list[Any] = json.loads(done.stdout)
    return sent
