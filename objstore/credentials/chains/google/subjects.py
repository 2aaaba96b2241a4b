"""What proves to Google who we are at another identity provider: a token in a file, at a URL, or told by a program.

https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers,
https://google.aip.dev/auth/4117
"""

from __future__ import annotations

import json
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from objstore.credentials.chains.google.document import read_file
from objstore.exceptions import ConfigurationError, UnauthenticatedError
from objstore.plans.effects import Call
from objstore.plans.work import in_steps
from objstore.settings.masked import Hidden, hide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from objstore.credentials.chains.google.document import Document
    from objstore.credentials.web import Web
    from objstore.plans.effects import Plan

_ALLOW = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"
_ID_TOKENS = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
_OUTPUT = "credential_source.executable.output_file"
_SAML = "urn:ietf:params:oauth:token-type:saml2"
_GOOGLE_AUTH = "Give credential_provider=objstore.auth.google.GoogleCredentialProvider(): google-auth can do it."


class Subject(Protocol):
    """Where the proof comes from."""

    def token(self) -> Plan[str]:
        """Get the proof, anew."""


class _Format:
    """How a token is written: as it is, or in a field of a JSON object."""

    def __init__(self, source: Document) -> None:
        form = source.part("format") if "format" in source else None
        kind = (form and form.optional("type")) or "text"
        if kind not in ("text", "json"):
            raise source.refusal("has a format whose type is neither text nor json")
        self._field = form.text("subject_token_field_name") if form is not None and kind == "json" else None

    def token(self, text: str, where: str) -> str:
        """Return the token in a text."""
        token = hide(text.strip() if self._field is None else _field(text, self._field))
        if not isinstance(token, str) or not token:
            what = "it is empty" if self._field is None else f"it has no text in a field {self._field}"
            raise UnauthenticatedError(f"There is no subject token in {where}: {what}")
        return token


def _field(text: str, name: str) -> object:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields.get(name) if isinstance(fields, dict) else None


class FileSubject:
    """A file, which others replace: it is read for each token."""

    def __init__(self, source: Document) -> None:
        self._path = str(source.text("file"))
        self._format = _Format(source)

    def token(self) -> Plan[str]:
        """Read the file."""
        text = yield Call(lambda: read_file(self._path, "credential_source.file"))
        return self._format.token(text, f"the file {self._path!r}")


class UrlSubject:
    """A URL, such as that of another cloud's metadata server."""

    def __init__(self, source: Document, web: Web) -> None:
        self._url = source.url("url", allow_http=web.allow_http, near=True)
        self._headers = source.mapping("headers")
        self._format = _Format(source)
        self._web = web

    def token(self) -> Plan[str]:
        """Ask for it."""
        what = "The URL of the subject token"
        reply = yield from self._web.ask(what, "GET", self._url, headers=self._headers)
        return self._format.token(bytes(reply.body).decode(errors="replace"), "the answer of credential_source.url")


class ExecutableSubject:
    """A program of the user's: it runs only where a variable allows it, and never in a shell.

    Args:
        source: What the file says of it.
        variables: What it is told in its environment.
    """

    def __init__(self, source: Document, variables: Mapping[str, str]) -> None:
        program = source.part("executable")
        self._command = program.text("command")
        self._seconds = program.number("timeout_millis", 30_000, 5_000, 120_000) / 1000
        self._output = str(program.optional("output_file") or "") or None
        more = {} if self._output is None else {"GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE": self._output}
        self._variables = {**variables, **more}

    def token(self) -> Plan[str]:
        """Return what it has left in its file where that is still good, else run it."""
        if os.environ.get(_ALLOW) != "1":
            raise UnauthenticatedError(
                f"The file of credentials names a program to run, and {_ALLOW} does not allow it",
                hint=f"Set {_ALLOW}=1 if you trust that file.",
            )
        kept = None if self._output is None else (yield Call(self._kept))
        return kept or (yield from self._run())

    def _kept(self) -> str | None:
        """Return the token of the file that the program writes, if it is good for a while."""
        try:
            answer = _read_answer(read_file(self._output or "", _OUTPUT))
        except ConfigurationError:  # it has not been written yet
            return None
        if answer is None or not answer.get("success") or "expiration_time" not in answer or _is_over(answer):
            return None
        return _subject_token(answer)

    def _run(self) -> Plan[str]:
        import shlex

        from objstore.credentials.programs import ended

        try:
            work = ended(
                hide(shlex.split(self._command)), self._seconds, apart=True, env={**os.environ, **self._variables}
            )
            found = yield from in_steps(work)
        except TimeoutError:
            raise _refusal(f"did not end within {self._seconds:g} seconds") from None
        except (OSError, ValueError, IndexError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its command is malformed"
            raise _refusal(f"could not be run: {reason}") from None
        if found.status != 0:
            raise _refusal(f"ended with status {found.status}")
        return (yield from self._told(Hidden(found.out.decode(errors="replace"))))

    def _told(self, text: str) -> Plan[str]:
        """Return the token that the program has printed, or written where it had nothing to print."""
        if not text.strip() and self._output is not None:
            text = yield Call(partial(read_file, self._output, _OUTPUT))
        answer = _read_answer(text)
        if answer is None:
            raise _refusal("printed no JSON object of version 1")
        if not answer.get("success"):
            code, words = answer.get("code"), answer.get("message")
            raise _refusal(f"says that it failed: {code}: {words}" if code and words else "says that it failed")
        if _is_over(answer):
            raise _refusal("gave a token that has ended")
        return _subject_token(answer)


def _read_answer(text: str) -> Mapping[str, Any] | None:
    try:
        answer = hide(json.loads(text))
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and answer.get("version") == 1 else None


def _is_over(answer: Mapping[str, Any]) -> bool:
    end = answer.get("expiration_time")
    return end is not None and (not isinstance(end, (int, float)) or end < time.time())


def _subject_token(answer: Mapping[str, Any]) -> str:
    kind = answer.get("token_type")
    if kind not in (*_ID_TOKENS, _SAML):
        raise _refusal(f"gave a token of the type {str(kind)!r}")
    token = answer.get("saml_response" if kind == _SAML else "id_token")
    if not isinstance(token, str) or not token:
        raise _refusal("gave no token")
    return token


def _refusal(fault: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"The program of credential_source.executable {fault}", hint="Run it by hand to see.")


def subject_of(source: Document, web: Web, variables: Mapping[str, str]) -> Subject:
    """Return where the proof comes from, other than from AWS.

    Args:
        source: What the file says of it.
        web: How to ask.
        variables: What a program is told in its environment.

    Raises:
        ConfigurationError: It says nothing that can be used, or more than one thing.
    """
    kinds = [kind for kind in ("file", "url", "executable", "certificate") if kind in source]
    if len(kinds) != 1:
        raise source.refusal(f"has {' and '.join(kinds) or 'none'} of file, url, executable and certificate")
    if kinds == ["certificate"]:
        raise source.refusal("names a certificate (X.509), which objstore cannot prove itself with", _GOOGLE_AUTH)
    if kinds == ["executable"]:
        return ExecutableSubject(source, variables)
    return FileSubject(source) if kinds == ["file"] else UrlSubject(source, web)
