"""Test certificates, made with the openssl command."""

import subprocess


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def stem_of(name):
    return name.replace("*", "any").replace("/", "_")


class Authority:
    """A CA in a directory; issue() returns (certificate, key) as PEM text. A name may say its type: URI:spiffe://x."""

    def __init__(self, room):
        self.room = room
        self.certificate = room / "ca.crt"
        self.key = room / "ca.key"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *new_key, "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=test ca", "-days", "2")

    def file(self, name, end):
        """Where issue() left the certificate (crt) or the key (key) of this first name."""
        return str(self.room / f"{stem_of(name)}.{end}")

    def ocsp(self, name, days=1):
        """The CA's word, as DER, that the certificate of this first name is good."""
        serial, index, answer = (self.room / f"{name}.{end}" for end in ("serial", "index", "ocsp"))
        openssl("x509", "-in", self.file(name, "crt"), "-noout", "-serial", "-out", serial)
        number = serial.read_text().strip().partition("=")[2]
        index.write_text(f"V\t491231235959Z\t\t{number}\tunknown\t/CN={name}\n")
        openssl(
            *("ocsp", "-index", index, "-CA", self.certificate, "-rsigner", self.certificate, "-rkey", self.key),
            *("-issuer", self.certificate, "-cert", self.file(name, "crt"), "-ndays", str(days), "-respout", answer),
        )
        return answer.read_bytes()

    def issue(self, *names):
        stem = stem_of(names[0])
        key, request, certificate, extension = (self.room / f"{stem}.{end}" for end in ("key", "csr", "crt", "ext"))
        extension.write_text("subjectAltName=" + ",".join(n if ":" in n else f"DNS:{n}" for n in names))
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", *new_key, "-keyout", key, "-out", request, "-subj", f"/CN={stem}")
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"),
            *("-out", certificate, "-days", "2", "-extfile", extension),
        )
        return certificate.read_text(), key.read_text()
