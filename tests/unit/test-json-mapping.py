#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our JSON of protobuf messages against Google's own implementation of the mapping: messages filled by chance must
come out the same from both, and each must read what the other wrote."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
    from google.protobuf.descriptor import FieldDescriptor
except ImportError:
    print("skipped: no python3-protobuf")
    sys.exit(77)

TOP = os.environ.get("top_srcdir", ".")
BUILD = os.environ.get("top_builddir", ".")
CONVERT = os.path.join(BUILD, "tests/unit/json-convert")
ROUNDS = 15
WHOLE = {
    FieldDescriptor.TYPE_INT32: (-2**31, 2**31 - 1), FieldDescriptor.TYPE_SINT32: (-2**31, 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-2**31, 2**31 - 1), FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1), FieldDescriptor.TYPE_INT64: (-2**63, 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-2**63, 2**63 - 1), FieldDescriptor.TYPE_SFIXED64: (-2**63, 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1), FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}


def load_pool():
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([shutil.which("protoc-c"), f"--proto_path={TOP}/proto", f"--proto_path={TOP}/tests/unit",
                        f"--descriptor_set_out={file.name}", "--include_imports", "agent.proto", "health.proto",
                        "every-type.proto"], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def value_of(field, chance, depth):
    if field.type in WHOLE:
        low, high = WHOLE[field.type]
        return chance.choice([low, high, 0, 1, chance.randint(low, high)])
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        # Whole eighths, which both kinds hold exactly.
        return chance.choice([float("inf"), float("-inf"), 0.0, chance.randint(-1000, 1000) / 8])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(["", "text", "\u00e9\U0001f600\n\t\"\\/", "a" * 300, f"n{chance.random()}"])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(6)))
    if field.type == FieldDescriptor.TYPE_ENUM:
        return chance.choice([value.number for value in field.enum_type.values])
    return None


def fill(message, chance, depth):
    for field in message.DESCRIPTOR.fields:
        is_message = field.type == FieldDescriptor.TYPE_MESSAGE
        if chance.random() < 0.3 or (is_message and depth == 0):
            continue
        place = getattr(message, field.name)
        if is_message and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            for _ in range(chance.randrange(3)):
                if value.type == FieldDescriptor.TYPE_MESSAGE:
                    fill(place[value_of(key, chance, 0)], chance, depth - 1)
                else:
                    place[value_of(key, chance, 0)] = value_of(value, chance, 0)
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            for _ in range(chance.randrange(4)):
                if is_message:
                    fill(place.add(), chance, depth - 1)
                else:
                    place.append(value_of(field, chance, depth))
        elif is_message:
            place.SetInParent()
            fill(place, chance, depth - 1)
        else:
            setattr(message, field.name, value_of(field, chance, depth))


def make_messages(pool, chance):
    names = {"test.EveryType"}
    for service in ("grpc.AgentService", "grpc.Health"):
        for method in pool.FindServiceByName(service).methods:
            names |= {method.input_type.full_name, method.output_type.full_name}
    factory = message_factory.MessageFactory(pool)
    for name in sorted(names):
        for _ in range(ROUNDS * (10 if name == "test.EveryType" else 1)):
            message = factory.GetPrototype(pool.FindMessageTypeByName(name))()
            fill(message, chance, 6)
            yield message


def one_line(message, **options):
    return json_format.MessageToJson(message, indent=None, **options).replace("\n", " ")


def main():
    if shutil.which("protoc-c") is None:
        print("skipped: no protoc-c")
        return 77
    messages = list(make_messages(load_pool(), random.Random(20240815)))
    questions = []
    for message in messages:
        name = message.DESCRIPTOR.full_name
        questions += [f"bytes {name} {message.SerializeToString().hex()}", f"json {name} {one_line(message)}",
                      f"json {name} {one_line(message, preserving_proto_field_name=True)}"]
    done = subprocess.run([CONVERT], input="\n".join(questions) + "\n", stdout=subprocess.PIPE, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(questions), f"{len(answers)} answers to {len(questions)} questions"
    for number, message in enumerate(messages):
        written, read, read_other_names = answers[3 * number:3 * number + 3]
        name = message.DESCRIPTOR.full_name
        kind, _, text = written.partition(" ")
        assert kind == "json" and json.loads(text) == json.loads(one_line(message)), \
            f"{name}: Google writes\n{one_line(message)}\nand we write\n{written}"
        assert json_format.Parse(text, type(message)()) == message, f"{name}: Google reads {text} as another message"
        for answer in (read, read_other_names):
            kind, _, text = answer.partition(" ")
            assert kind == "bytes", f"{name}: {answer}\n{one_line(message)}"
            assert type(message).FromString(bytes.fromhex(text)) == message, f"{name}: read otherwise: {one_line(message)}"
    print(f"{len(messages)} messages are the same in both implementations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
