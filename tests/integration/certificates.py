"""Test certificates, made with the openssl command."""

import subprocess


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Authority:
    """A CA in a directory; issue() returns (certificate, key) as PEM text."""

    def __init__(self, room):
        self.room = room
        self.certificate = room / "ca.crt"
        self.key = room / "ca.key"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *new_key, "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=test ca", "-days", "2")

    def issue(self, *names):
        stem = names[0].replace("*", "any")
        key, request, certificate, extension = (self.room / f"{stem}.{end}" for end in ("key", "csr", "crt", "ext"))
        extension.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", *new_key, "-keyout", key, "-out", request, "-subj", f"/CN={stem}")
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"),
            *("-out", certificate, "-days", "2", "-extfile", extension),
        )
        return certificate.read_text(), key.read_text()
