"""Invocation policies: what a startup option of Bazel's sets that no other option can undo.

A policy is a message of `invocation_policy.proto`, as text or, in base64, as it is sent: Bazel takes for
base64 what can be (InvocationPolicyParser). Both are read as far as they say which flag gets which value.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterator
from typing import Any

#: The messages, each with the fields that matter: name, number, and the message in it, "" for a text. A
#: text of `_REPEATED` may be there more than once. A value that is not allowed may be replaced by a new one.
_MESSAGES = {
    "InvocationPolicy": (("flag_policies", 1, "FlagPolicy"),),
    "FlagPolicy": (
        ("flag_name", 1, ""),
        ("set_value", 3, "SetValue"),
        ("disallow_values", 5, "DisallowValues"),
        ("allow_values", 6, "AllowValues"),
    ),
    "SetValue": (("flag_value", 1, ""),),
    "DisallowValues": (("new_value", 3, ""),),
    "AllowValues": (("new_value", 3, ""),),
}
_REPEATED = ("flag_policies", "flag_value")


def settings(policy: str) -> Iterator[tuple[str, str]]:
    """Every flag that `policy` may set, with the value. Raises ValueError for what is no policy."""
    for each in _parse(policy).flag_policies:
        values = [*each.set_value.flag_value]
        values += [
            of.new_value for of in (each.disallow_values, each.allow_values) if of.HasField("new_value")
        ]
        if each.HasField("flag_name"):
            yield from ((each.flag_name, value) for value in values)


def _parse(policy: str) -> Any:
    from google.protobuf import message, text_format

    found = _policy_class()()
    bare = policy.rstrip("=")  # Bazel needs no padding
    try:
        content = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        try:
            return text_format.Parse(policy, found, allow_unknown_field=True)
        except (text_format.ParseError, RecursionError) as error:
            raise ValueError("no text of a policy") from error
    try:
        found.ParseFromString(content)
    except message.DecodeError as error:
        raise ValueError("no policy") from error
    return found


@functools.cache
def _policy_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="invocation_policy.proto", package="policy")
    field = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for each, number, inner in fields:
            message.field.add(
                name=each,
                number=number,
                label=field.LABEL_REPEATED if each in _REPEATED else field.LABEL_OPTIONAL,
                type=field.TYPE_MESSAGE if inner else field.TYPE_STRING,
                type_name=f".policy.{inner}" if inner else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("policy.InvocationPolicy"))
