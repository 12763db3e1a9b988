"""Signed tokens and the keys to check them, made with the openssl command."""

import base64
import json
import subprocess
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], input=input, capture_output=True, check=True).stdout


class Issuer:
    """An RSA key that signs tokens of one issuer."""

    def __init__(self, room, name="https://issuer.example", kid="one"):
        self.name, self.kid = name, kid
        self.key = room / f"{kid}.pem"
        openssl("genrsa", "-out", self.key, 2048)

    def jwks(self):
        modulus = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
        key = {"kty": "RSA", "kid": self.kid, "alg": "RS256", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
        return json.dumps({"keys": [key]})

    def token(self, alg="RS256", life=300, **claims):
        header = {"alg": alg, "kid": self.kid, "typ": "JWT"}
        claims = {"iss": self.name, "aud": "tools", "exp": int(time.time()) + life} | claims
        data = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{data}.{b64(openssl('dgst', '-sha256', '-sign', self.key, input=data.encode()))}"
