"""A look at an account with the client's own key, by a few lines that belong to no client: what the server really keeps."""

import base64
import json
import re
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from harness.environment import Environment
from harness.session import Failure

# The type that RFC 9773 §7.4 gives to a second replacement; Pebble before 2.8 has only words.
ALREADY_REPLACED = ("urn:ietf:params:acme:error:alreadyReplaced", "already has a replacement order")


class Account:
    """The account of a key file: PEM (RSA or P-256) or certbot's private_key.json."""

    def __init__(self, environment: Environment, key: Path, note):
        self.environment = environment
        self.note = note
        self.key = pem(key)
        self.jwk = public_jwk(self.key)
        self.context = ssl.create_default_context(cafile=str(environment.tls_root))
        self.directory = json.loads(self.open(urllib.request.Request(environment.directory))[2])
        self.url = ""

    def contacts(self) -> list[str]:
        """The contacts that the server keeps."""
        status, headers, body = self.post(self.directory["newAccount"], {"onlyReturnExisting": True})
        if status != 200:
            raise Failure(f"the account is not found by its key: {status} {body[:200]}")
        self.url = headers["Location"]
        return sorted(json.loads(body).get("contact", []))

    def expect_contacts(self, *wanted: str) -> None:
        found = self.contacts()
        if found != sorted(f"mailto:{email}" for email in wanted):
            raise Failure(f"the account's contacts are {found}")

    def expect_deactivated(self) -> None:
        """RFC 8555 §7.3.6: a deactivated account's requests get `unauthorized`. Call `contacts` before deactivating."""
        status, _, body = self.post(self.url, None, kid=self.url)
        if status not in (401, 403) or not body or json.loads(body)["type"] != "urn:ietf:params:acme:error:unauthorized":
            raise Failure(f"the deactivated account is answered: {status} {body[:200]}")

    def expect_replaced(self, chain: Path, *names: str) -> None:
        """RFC 9773 §5: a certificate is replaced once; that the client did it shows in the refusal to do it again."""
        self.contacts()
        order = {"identifiers": [{"type": "dns", "value": name} for name in names], "replaces": renewal_id(chain)}
        status, _, body = self.post(self.directory["newOrder"], order, kid=self.url)
        if status != 409 or not any(sign in body for sign in ALREADY_REPLACED):
            raise Failure(f"the client's order did not replace the old certificate: a second one is answered {status} {body[:200]}")

    def post(self, url: str, payload: dict | None, kid: str = "") -> tuple[int, dict, str]:
        nonce = self.open(urllib.request.Request(self.directory["newNonce"], method="HEAD"))[1]["Replay-Nonce"]
        algorithm = "RS256" if self.jwk["kty"] == "RSA" else "ES256"
        signer = {"kid": kid} if kid else {"jwk": self.jwk}
        protected = base64url(json.dumps({"alg": algorithm, "nonce": nonce, "url": url} | signer).encode())
        encoded = "" if payload is None else base64url(json.dumps(payload).encode())
        signature = base64url(signed(self.key, algorithm, f"{protected}.{encoded}".encode()))
        body = json.dumps({"protected": protected, "payload": encoded, "signature": signature}).encode()
        answer = self.open(urllib.request.Request(url, body, {"Content-Type": "application/jose+json"}))
        self.note(f"look at the account: POST {url}: {answer[0]} {answer[2]}")
        return answer

    def open(self, request: urllib.request.Request) -> tuple[int, dict, str]:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context),
        )
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read().decode()


def renewal_id(chain: Path) -> str:
    """RFC 9773 §4.1: authority key identifier and serial number, the latter as in DER."""
    shown = openssl(["x509", "-noout", "-serial", "-ext", "authorityKeyIdentifier"], chain.read_bytes()).decode()
    serial = bytes.fromhex(re.search(r"serial=([0-9A-F]+)", shown).group(1))
    authority = bytes.fromhex(re.search(r"((?:[0-9A-F]{2}:)+[0-9A-F]{2})", shown).group(1).replace(":", ""))
    return f"{base64url(authority)}.{base64url((b'' if serial[0] < 0x80 else bytes(1)) + serial)}"


def pem(key: Path) -> str:
    text = key.read_text()
    return pem_of_jwk(json.loads(text)) if text.startswith("{") else text


def public_jwk(key: str) -> dict[str, str]:
    """The public half in the member names of RFC 7518."""
    shown = openssl(["pkey", "-noout", "-text"], key.encode()).decode()
    public = openssl(["pkey", "-pubout", "-outform", "DER"], key.encode())
    if "NIST CURVE: P-256" in shown:
        return {"kty": "EC", "crv": "P-256", "x": base64url(public[-64:-32]), "y": base64url(public[-32:])}
    modulus = int(openssl(["rsa", "-noout", "-modulus"], key.encode()).decode().partition("=")[2], 16)
    exponent = int(re.search(r"publicExponent: (\d+)", shown).group(1))
    return {"kty": "RSA", "n": base64url(unsigned(modulus)), "e": base64url(unsigned(exponent))}


def signed(key: str, algorithm: str, message: bytes) -> bytes:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(key)
        file.flush()
        signature = openssl(["dgst", "-sha256", "-sign", file.name], message)
    return signature if algorithm == "RS256" else fixed_size(signature)


def fixed_size(signature: bytes) -> bytes:
    """ECDSA's two DER integers as RFC 7518 §3.4 wants them: 32 octets each."""
    first_length = signature[3]
    first, second = signature[4 : 4 + first_length], signature[6 + first_length :]
    return b"".join(int.from_bytes(number, "big").to_bytes(32, "big") for number in (first, second))


def pem_of_jwk(jwk: dict[str, str]) -> str:
    """An RSA private JWK as RFC 8017's RSAPrivateKey."""
    numbers = [0] + [int.from_bytes(from_base64url(jwk[name]), "big") for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")]
    content = b"".join(der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in numbers)
    encoded = base64.encodebytes(der(0x30, content)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{encoded}-----END RSA PRIVATE KEY-----\n"


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = unsigned(length)
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(words: list[str], given: bytes) -> bytes:
    done = subprocess.run(["openssl", *words], input=given, capture_output=True, timeout=30)
    if done.returncode != 0:
        raise Failure(f"openssl {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
