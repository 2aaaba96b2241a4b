"""Forms that carry their own signature, for browsers to post objects by (POST policies).

A policy is written here; who has a key for it signs elsewhere.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html,
https://cloud.google.com/storage/docs/xml-api/post-object-forms
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

FILE_NAME = "${filename}"
"""What the service puts the name of the file in the place of."""

MOST_TIME = timedelta(days=7)
"""How long a form may be good: as long as the key is that signs for a day."""


class Form(NamedTuple):
    """What a form is to allow.

    Args:
        bucket: The name of the bucket.
        key: The key of the object.
        conditions: What must hold of its fields beside.
        fields: Further fields.
    """

    bucket: str
    key: str
    conditions: Sequence[Mapping[str, str] | Sequence[str | int]]
    fields: Mapping[str, str]


class Proof(NamedTuple):
    """Who signs a form, and how.

    Args:
        prefix: What the vendor's own fields begin with.
        algorithm: How it will be signed.
        credential: The key, and what it signs for.
        time: When, as signatures have it.
        token: The session token of a temporary key.
    """

    prefix: str
    algorithm: str
    credential: str
    time: str
    token: str | None = None

    def fields(self) -> dict[str, str]:
        """Return the fields that say so."""
        named = {"algorithm": self.algorithm, "credential": self.credential, "date": self.time}
        if self.token is not None:
            named["security-token"] = self.token
        return {f"{self.prefix}{name}": value for name, value in named.items()}


class Unsigned(NamedTuple):
    """The fields of a form that lacks its signature, what is to be signed, and what that field is called."""

    fields: dict[str, str]
    text: bytes
    name: str

    def signed(self, signature: bytes) -> dict[str, str]:
        """Return the fields with the signature."""
        return {**self.fields, self.name: signature.hex()}


def unsigned_form(form: Form, proof: Proof, *, now: datetime, life: timedelta) -> Unsigned:
    """Return a form that is to be signed.

    Args:
        form: What it is to allow.
        proof: Who signs it.
        now: When it begins to be good, aware.
        life: For how long.

    Raises:
        ValueError: It would be good for too long, a field is one of those that are made here, a condition rules out
            a field, or the name of the file is to come elsewhere than at the end of the key.
    """
    if life > MOST_TIME:
        raise ValueError(f"expires_in is {life}. Give {MOST_TIME} at the most.")
    proven = proof.fields()
    made = {"bucket", "key", "policy", "file", f"{proof.prefix}signature", *proven}
    names = Counter(name.lower() for name in form.fields)
    if ours := made.intersection(names):
        raise ValueError(f"The field {min(ours)} is set by what is signed. Leave it out.")
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"The field {twice[0]} is given in two spellings: services take either. Give it once.")
    given = {name.lower(): value for name, value in form.fields.items()}
    for condition in form.conditions:
        _check(condition, {**given, "bucket": form.bucket, "key": form.key, **proven})
    named = {name.lower() for condition in form.conditions for _, name, _ in _rules(condition)}
    rules = [
        *form.conditions,
        *(_rule(name, value) for name, value in form.fields.items() if name.lower() not in named),
        {"bucket": form.bucket},
        _rule("key", form.key),
        *({name: value} for name, value in proven.items()),
    ]
    ends = (now + life).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = json.dumps({"conditions": rules, "expiration": ends}, separators=(",", ":"))
    text = base64.b64encode(policy.encode())
    fields = {**form.fields, "key": form.key, **proven, "policy": text.decode()}
    return Unsigned(fields, text, f"{proof.prefix}signature")


def _check(condition: Mapping[str, str] | Sequence[str | int], said: Mapping[str, str]) -> None:
    """Raise if a condition rules out a field of the form, so that nobody could use it as it is."""
    for operator, name, text in _rules(condition):
        value = said.get(name.lower(), text)
        begins = operator == "starts-with" and value.startswith(text)
        if value.endswith(FILE_NAME):  # what comes in its place may be anything
            begins |= text.startswith(value.removesuffix(FILE_NAME))
        if not (value == text or begins):
            raise ValueError(f"the condition {condition!r} rules out the form itself, whose {name} is {value!r}")


def _rules(condition: Mapping[str, str] | Sequence[str | int]) -> list[tuple[str, str, str]]:
    """Return what a condition says of fields: by which operator, of which field, and the text."""
    if isinstance(condition, list):
        operator, name, text = map(str, condition)
        return [] if operator == "content-length-range" else [(operator, name.removeprefix("$"), text)]
    return [("eq", name, text) for name, text in cast("Mapping[str, str]", condition).items()]


def _rule(name: str, value: str) -> Mapping[str, str] | Sequence[str]:
    """Return the condition of a field: the service compares it once the file's name is in it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
    """
    begin = value.removesuffix(FILE_NAME)
    if FILE_NAME in begin:
        raise ValueError(f"the {name} {value!r} has {FILE_NAME} elsewhere than at its end: write it there, and once")
    return {name: value} if begin == value else ["starts-with", f"${name}", begin]
