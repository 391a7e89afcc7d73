"""A broker of Kafka for tests, from Maven's repository, in a folder of its own and gone with it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from real_clients import of_maven

VERSION = "4.1.1"
_PATIENCE = 60.0
_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def running_broker() -> Iterator[str]:
    """Run a broker until the end of the ``with``, and give its address; skip where none can run."""
    if shutil.which("java") is None:
        pytest.skip("needs Java, which runs a broker of Kafka")
    folder = Path(tempfile.mkdtemp(prefix="idmerge-kafka-"))
    try:
        path = of_maven(folder, "org.apache.kafka", "kafka_2.13", VERSION)
        port, controller = _free_ports()
        settings = folder / "server.properties"
        settings.write_text(_SETTINGS.format(port=port, controller=controller, folder=folder))
        with (folder / "broker.log").open("wb") as log:
            java = ["java", "-Xmx384m", "-cp", path]
            made = [
                *java,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                "AAAAAAAAQACAAAAAAAAAAA",
                "-c",
                settings,
            ]
            subprocess.run(made, stdout=log, stderr=log, check=True)
            process = subprocess.Popen([*java, "kafka.Kafka", settings], stdout=log, stderr=log)
            try:
                _wait(process, port)
                yield f"127.0.0.1:{port}"
            finally:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the broker of Kafka does not answer")


def _free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for asking in (one, other):
            asking.bind(("127.0.0.1", 0))
        return [asking.getsockname()[1] for asking in (one, other)]
