"""A compacted topic of Kafka: the key is the ID, the value its canonical ID.

Rows and cursor are in one transaction: the cursor is the metadata of an offset that a group, named
after the topic, commits with it. The transactional ID, of the same name, fences off a process that
was taken for dead. An ID that is gone gets a tombstone: before a whole mapping is written the topic
is read, for the journal cannot name forgotten IDs.
"""

from __future__ import annotations

import re
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from idmerge._naming import visible
from idmerge.errors import MissingExtraError, SinkError
from idmerge.sinks.protocol import HOSTS, batches, check_unchanged, not_ours, stated_cursor, url_parts

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError as error:
    raise MissingExtraError("a sink in Kafka needs confluent-kafka: pip install 'idmerge[kafka]'") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.journal import Cursor, MappingUpdate

SECONDS = 30.0
"""Seconds within which a broker has to answer."""
TRANSACTION = 900_000
"""Milliseconds within which a delivery has to be written: the most that brokers allow."""
TOPIC = {"cleanup.policy": "compact"}
EXPECTED = "kafka://HOST:PORT/TOPIC"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What brokers allow."""


class KafkaSink:
    """The topic at ``kafka://host:9092,host/topic``; options behind ``?`` are librdkafka's."""

    needs_whole = False

    def __init__(self, url: str) -> None:
        parts = url_parts(url, EXPECTED, hosts=HOSTS)
        hosts = parts.netloc.rpartition("@")[2]
        self._topic = parts.path.strip("/")
        if not _TOPIC.fullmatch(self._topic):  # It may be a part of a password.
            raise SinkError(f"a target kafka://… names no topic; expected {EXPECTED}")
        self.name = f"kafka://{hosts}/{self._topic}"
        self._options: dict[str, Any] = {
            **dict(parse_qsl(parts.query)),
            "bootstrap.servers": hosts,
            "log_level": 0,
        }
        if "@" in parts.netloc:
            user, _, password = parts.netloc.rpartition("@")[0].partition(":")
            self._options |= {"sasl.username": unquote(user), "sasl.password": unquote(password)}
        self._group = f"idmerge-sink-{self._topic}"
        self._place = TopicPartition(self._topic, 0)
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._seen: str | None = None
        self._failed: list[str] = []

    def cursor(self, *, restart: bool) -> Cursor | None:
        """Return the cursor that the group committed."""
        with _KafkaErrors(self.name):
            self._make_topic()
            self._begin()  # Before the cursor is read: whoever wrote before is fenced off, or done.
            self._seen = self._stated()
            if restart:
                return None
            if self._seen is None and any(True for _ in self._rows()):
                raise not_ours(self.name, "the topic has records")
        return stated_cursor(self.name, self._seen)

    def apply(self, update: MappingUpdate) -> int:
        """Write rows and cursor in one transaction."""
        with _KafkaErrors(self.name):
            producer = self._begin()
            check_unchanged(self.name, self._seen, self._stated())
            gone = self._gone(update) if update.is_whole else []
            producer.begin_transaction()
            try:
                self._failed.clear()
                for key in gone:
                    self._send(producer, key, None)
                for batch in batches(update):
                    columns = (column.to_pylist() for column in batch.columns)
                    for own, name in zip(*columns, strict=True):
                        self._send(producer, own.encode(), name.encode())
                stated = update.cursor.to_json()
                place = TopicPartition(self._topic, 0, update.cursor.batch + 1, metadata=stated)
                group = self._reading().consumer_group_metadata()
                producer.send_offsets_to_transaction([place], group, SECONDS)
                self._flush(producer)
                producer.commit_transaction(SECONDS)
            except BaseException:
                with suppress(KafkaException):
                    producer.abort_transaction(SECONDS)
                raise
        self._seen = stated
        return 0

    def _send(self, producer: Producer, key: bytes, value: bytes | None) -> None:
        end = monotonic() + SECONDS
        while True:
            try:
                producer.produce(self._topic, key=key, value=value, on_delivery=self._sent)
            except BufferError:
                if monotonic() > end:
                    raise OSError(f"{self.name}: the broker did not answer in time") from None
                producer.poll(0.1)
            else:
                producer.poll(0)
                return

    def _flush(self, producer: Producer) -> None:
        if producer.flush(SECONDS) or self._failed:
            reason = next(iter(self._failed), "the broker did not answer in time")
            raise OSError(f"{self.name}: {reason}")

    def _sent(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._failed.append(error.str())

    def _gone(self, update: MappingUpdate) -> list[bytes]:
        """Return the keys with values in the topic that a whole mapping does not have."""
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import compute as pc  # noqa: PLC0415

        known = pa.chunked_array(
            [batch.column(0).cast(pa.binary()) for batch in batches(update)], pa.binary()
        )
        live: dict[bytes, bool] = {}
        for keys, values in self._rows():
            unknown = pc.invert(pc.is_in(pa.array(keys, pa.binary()), value_set=known)).to_pylist()
            for key, value, is_unknown in zip(keys, values, unknown, strict=True):
                if is_unknown:
                    live[key] = value is not None
        return [key for key, is_live in live.items() if is_live]

    def _rows(self) -> Iterator[tuple[list[bytes], list[bytes | None]]]:
        """Yield keys and values of the records that were committed, of all partitions."""
        reader = Consumer(
            {
                **self._options,
                "group.id": self._group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        try:
            partitions = reader.list_topics(self._topic, SECONDS).topics[self._topic].partitions
            reader.assign([TopicPartition(self._topic, number, 0) for number in partitions])
            open_ones, end = {*partitions}, monotonic() + SECONDS
            while open_ones:
                keys: list[bytes] = []
                values: list[bytes | None] = []
                for message in reader.consume(10_000, 1.0):
                    end = monotonic() + SECONDS
                    failure = message.error()
                    if failure is None:
                        keys.append(message.key() or b"")
                        values.append(message.value())
                    elif failure.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                        open_ones.discard(message.partition())
                    else:
                        raise KafkaException(failure)
                if keys:
                    yield keys, values
                if monotonic() > end:
                    raise OSError(f"{self.name}: the broker did not answer in time")
        finally:
            reader.close()

    def _make_topic(self) -> None:
        """Make the topic, compacted, if it is not there."""
        admin = AdminClient(self._options)
        if self._topic in admin.list_topics(timeout=SECONDS).topics:
            return
        for made in admin.create_topics([NewTopic(self._topic, 1, config=TOPIC)]).values():
            try:
                made.result(SECONDS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def _begin(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    **self._options,
                    "transactional.id": self._group,
                    "transaction.timeout.ms": TRANSACTION,
                    "linger.ms": 20,
                }
            )
            self._producer.init_transactions(SECONDS)
        return self._producer

    def _reading(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer({**self._options, "group.id": self._group, "enable.auto.commit": False})
        return self._consumer

    def _stated(self) -> str | None:
        [found] = self._reading().committed([self._place], SECONDS)
        if found.error is not None:
            raise KafkaException(found.error)
        return found.metadata or None

    def close(self) -> None:
        """Let go of the broker."""
        consumer, self._consumer, self._producer = self._consumer, None, None
        if consumer is not None:
            consumer.close()


class _KafkaErrors:
    """Turns errors of the library within a block into OSError, or SinkError if another writes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the error as one of ours."""
        if not isinstance(error, KafkaException):
            return
        failure = error.args[0]
        text = f"{self._name}: {visible(failure.str())}"
        if failure.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH):  # noqa: SLF001
            raise SinkError(f"{text}; another process delivers to it: let one deliver") from error
        raise OSError(text) from error
