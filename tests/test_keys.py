"""RSA signatures and PKCS #12 files by libcurl's own OpenSSL, with cryptography as the judge."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from objstore._core import read_pfx, sign_ps256, sign_rs256

PLANTED = b"planted+secret"
PSS = padding.PSS(padding.MGF1(SHA256()), 32)
UNREADABLE = "the private key is malformed, or encrypted"


@cache
def generated(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return generated(bits)


def pem(form: PrivateFormat = PrivateFormat.PKCS8, bits: int = 2048, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key(bits).private_bytes(Encoding.PEM, form, encryption)


def certificate(name: str) -> x509.Certificate:
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now, day = datetime.now(UTC), timedelta(days=1)
    number = x509.random_serial_number()
    builder = x509.CertificateBuilder(named, named, key().public_key(), number, now - day, now + day)
    return builder.sign(key(), SHA256())


@pytest.mark.parametrize("bits", [1024, 2048, 3072])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["PKCS8", "PKCS1"])
@pytest.mark.parametrize("data", [b"", b"header.claims", bytes(70_000)], ids=["empty", "short", "long"])
def test_rs256_is_what_cryptography_signs(bits: int, form: PrivateFormat, data: bytes) -> None:
    assert sign_rs256(pem(form, bits), data) == key(bits).sign(data, padding.PKCS1v15(), SHA256())


@pytest.mark.parametrize("data", [b"", b"header.claims"])
def test_ps256_is_verified_by_cryptography(data: bytes) -> None:
    key().public_key().verify(sign_ps256(pem(), data), data, PSS, SHA256())


def test_an_encrypted_key_is_opened_by_its_password_alone() -> None:
    encrypted = pem(password=PLANTED)
    assert sign_rs256(encrypted, b"data", PLANTED) == sign_rs256(pem(), b"data")
    for wrong in (b"", b"wrong"):
        with pytest.raises(ValueError, match=UNREADABLE) as caught:
            sign_rs256(encrypted, b"data", wrong)
        assert PLANTED.decode() not in str(caught.value)


def test_nobody_is_asked_for_a_password_at_the_terminal() -> None:
    program = "import sys; from objstore._core import sign_rs256; sign_rs256(sys.stdin.buffer.read(), b'')"
    done = subprocess.run([sys.executable, "-c", program], input=pem(password=PLANTED), capture_output=True, timeout=60)
    assert done.stderr.decode().splitlines()[-1].startswith(f"ValueError: {UNREADABLE}")
    assert done.stdout == b""


MALFORMED: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "no PEM": lambda: PLANTED,
    "no base64": lambda: b"-----BEGIN PRIVATE KEY-----\n" + PLANTED + b"\n-----END PRIVATE KEY-----\n",
    "cut": lambda: pem()[:-200],
    "escaped": lambda: pem().replace(b"\n", b"\\n"),
    "public": lambda: key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
}


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_key_is_an_error_that_does_not_quote_it(malformed: str) -> None:
    with pytest.raises(ValueError, match=UNREADABLE) as caught:
        sign_rs256(MALFORMED[malformed](), b"data")
    assert PLANTED.decode() not in str(caught.value)


def test_a_key_of_another_kind_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="no RSA key"):
        sign_rs256(curve, b"data")


@pytest.mark.parametrize("password", [b"", PLANTED, "pässwört".encode()])
def test_a_pfx_file_gives_key_and_certificates(password: bytes) -> None:
    first, others = certificate("first"), [certificate("second"), certificate("third")]
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    found, chain = read_pfx(pkcs12.serialize_key_and_certificates(b"name", key(), first, others, encryption), password)
    loaded = load_pem_private_key(found, None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers() == key().private_numbers()
    assert sign_rs256(found, b"data") == sign_rs256(pem(), b"data")
    certificates = x509.load_pem_x509_certificates(chain)
    assert certificates[0] == first
    assert {one.serial_number for one in certificates[1:]} == {one.serial_number for one in others}


def test_a_pfx_file_that_cannot_be_read_is_an_error_that_does_not_quote_it() -> None:
    good = pkcs12.serialize_key_and_certificates(
        b"name", key(), certificate("c"), None, BestAvailableEncryption(PLANTED)
    )
    for data, password, message in (
        (good, b"wrong", "another password"),
        (good, b"", "another password"),
        (good, PLANTED + b"\0", "no NUL"),
        (good[:-20], PLANTED, "no PKCS #12 file"),
        (b"", PLANTED, "no PKCS #12 file"),
        (bytes(2 << 20), PLANTED, "at most 1 MiB"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            read_pfx(data, password)
        assert PLANTED.decode() not in str(caught.value)


def test_a_pfx_file_without_a_key_is_refused() -> None:
    data = pkcs12.serialize_key_and_certificates(None, None, None, [certificate("c")], BestAvailableEncryption(PLANTED))
    with pytest.raises(ValueError, match="no private key"):
        read_pfx(data, PLANTED)


def test_nothing_is_left_behind() -> None:
    """A failure leaves no error of OpenSSL's for the connections of this thread, and no memory."""
    import resource

    bad = pem()[:-200]
    pfx = pkcs12.serialize_key_and_certificates(b"n", key(), certificate("c"), None, NoEncryption())

    def work(times: int) -> int:
        for _ in range(times):
            with pytest.raises(ValueError, match=UNREADABLE):
                sign_rs256(bad, bytes(20_000))
            read_pfx(pfx)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = work(50)
    assert work(1000) - before < 4096
