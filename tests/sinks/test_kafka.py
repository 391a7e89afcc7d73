"""A topic of a real broker: the last committed value of each key is the mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from benches.support.sink_rows import mapping
from idmerge import DurableResolver
from idmerge.errors import SinkError
from idmerge.sinks import Delivery, open_sink
from kafka_broker import running_broker
from sink_copies import histories, take
from strategies import strategies

kafka = pytest.importorskip("confluent_kafka", reason="needs a client of Kafka: pip install 'idmerge[kafka]'")
topics = iter(range(10**9))


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_broker() as address:
        yield address


def rows(broker: str, topic: str) -> dict[str, str]:
    """Return the topic as a consumer has it that reads what was committed."""
    reader = kafka.Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "a reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    copy: dict[str, str] = {}
    try:
        reader.assign([kafka.TopicPartition(topic, 0, 0)])
        while True:
            message = reader.poll(30)
            assert message is not None
            if message.error():
                assert message.error().code() == kafka.KafkaError._PARTITION_EOF
                return copy
            key = message.key().decode()
            if message.value() is None:
                copy.pop(key, None)
            else:
                copy[key] = message.value().decode()
    finally:
        reader.close()


@settings(max_examples=4)
@given(canonical=strategies, history=histories)
def test_a_topic_of_kafka_holds_the_mapping(broker: str, canonical: Any, history: list[Any]) -> None:
    topic = f"ids-{next(topics)}"
    resolver = DurableResolver.open(":memory:", canonical=canonical)
    sink = open_sink(f"kafka://{broker}/{topic}")
    delivery = Delivery(resolver, sink)
    for name, *arguments in [*history, ("deliver",)]:
        if name == "deliver":
            resolver.commit()
            delivery.run()
            assert rows(broker, topic) == mapping(resolver)
        elif name == "reopen":
            sink.close()
            sink = open_sink(f"kafka://{broker}/{topic}")
            delivery = Delivery(resolver, sink)
        else:
            take(resolver, name, arguments)
    sink.close()


def test_a_delivery_that_fails_in_the_midst_did_not_happen(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"kafka://{broker}/ids-{next(topics)}"
    topic = target.rpartition("/")[2]
    resolver = DurableResolver.open(":memory:")
    resolver.merge("ana", "crm-17")
    resolver.commit()
    sink = open_sink(target)
    delivery = Delivery(resolver, sink)
    delivery.run()
    before = mapping(resolver)
    resolver.merge("ben", "ana")
    resolver.commit()

    def fail(*_: Any) -> None:
        raise OSError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(type(sink), "_flush", fail)
        with pytest.raises(OSError, match="no answer"):
            delivery.run()
    assert rows(broker, topic) == before
    assert not delivery.run().is_whole
    assert rows(broker, topic) == mapping(resolver)
    sink.close()


def test_another_process_takes_over_and_fences_the_first_one_off(broker: str) -> None:
    target = f"kafka://{broker}/ids-{next(topics)}"
    resolver = DurableResolver.open(":memory:")
    resolver.merge("ana", "crm-17")
    resolver.commit()
    sinks = [open_sink(target) for _ in range(2)]
    first, second = (Delivery(resolver, sink) for sink in sinks)
    first.run()
    resolver.merge("ben", "ana")
    resolver.commit()
    assert not second.run().is_whole
    resolver.merge("cleo", "ana")
    resolver.commit()
    with pytest.raises(SinkError, match="another process"):
        first.run()
    second.run()
    assert rows(broker, target.rpartition("/")[2]) == mapping(resolver)
    for sink in sinks:
        sink.close()


def test_records_that_are_no_sink_s_are_left_alone(broker: str) -> None:
    topic = f"ids-{next(topics)}"
    producer = kafka.Producer({"bootstrap.servers": broker})
    producer.produce(topic, key=b"mine", value=b"mine")
    assert producer.flush(30) == 0
    resolver = DurableResolver.open(":memory:")
    resolver.merge("ana", "crm-17")
    resolver.commit()
    sink = open_sink(f"kafka://{broker}/{topic}")
    with pytest.raises(SinkError, match="the topic has records and no cursor of a sink"):
        Delivery(resolver, sink).run()
    Delivery(resolver, sink, restart=True).run()
    sink.close()
    assert rows(broker, topic) == mapping(resolver)


def test_a_broker_that_is_not_there_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idmerge.sinks.kafkatopic.SECONDS", 1.0)
    sink = open_sink("kafka://me:s3cret@127.0.0.1:9/ids")
    with pytest.raises(OSError, match=r"^kafka://127\.0\.0\.1:9/ids: ") as refused:
        sink.cursor(restart=False)
    assert "s3cret" not in str(refused.value)
    sink.close()
