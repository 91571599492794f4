"""Requests and reviews of a shape that two readers may read in two ways. None may be answered as another
reader would not, none may be answered twice, and none may end the server."""

import json
import re
import ssl

from lib import reviews
from lib.attack import attack
from lib.reviews import pod

BODY = reviews.INTRUDER.decode()
LENGTH = len(BODY)
POST = "POST /validate?timeout=10s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = f"{LENGTH:x}\r\n{BODY}\r\n0\r\n\r\n"
SECOND = "GET /second HTTP/1.1\r\nHost: x\r\n\r\n"

# What is sent, and the statuses that it may get: `2` one answer, `4` a refusal, `-` none.
REQUESTS = {
    "plain": (POST + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "2"),
    "chunked": (POST + "Transfer-Encoding: chunked\r\n\r\n" + CHUNKED, "2"),
    "length and chunks, second request inside": (
        POST + f"Content-Length: {5 + len(SECOND)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND, "4-",
    ),
    "chunks and length, second request behind": (
        POST + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n" + CHUNKED + SECOND, "24-",
    ),
    "xchunked": (POST + f"Transfer-Encoding: xchunked\r\nContent-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "chunked, identity": (POST + "Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED, "4-"),
    "space before the colon": (POST + "Transfer-Encoding : chunked\r\n\r\n" + CHUNKED, "4-"),
    "vertical tab in the value": (POST + "Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNKED, "4-"),
    "folded line": (POST + f"X: a\r\n b\r\nContent-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "two lengths": (POST + f"Content-Length: {LENGTH}\r\nContent-Length: {LENGTH - 1}\r\n\r\n{BODY}", "4-"),
    "length +n": (POST + f"Content-Length: +{LENGTH}\r\n\r\n{BODY}", "4-"),
    "length -1": (POST + f"Content-Length: -1\r\n\r\n{BODY}", "4-"),
    "length 0x": (POST + f"Content-Length: 0x{LENGTH:x}\r\n\r\n{BODY}", "4-"),
    "length of 2^64": (POST + f"Content-Length: 18446744073709551616\r\n\r\n{BODY}", "4-"),
    "length of 2^64-1": (POST + f"Content-Length: 18446744073709551615\r\n\r\n{BODY}", "4-"),
    "length too small": (POST + f"Content-Length: {LENGTH - 5}\r\n\r\n{BODY}", "4-"),
    "no length": (POST + f"\r\n{BODY}", "4-"),
    "bare line feeds": ((POST + f"Content-Length: {LENGTH}\r\n\r\n").replace("\r\n", "\n") + BODY, "24-"),
    "carriage return in a value": (POST + f"X: a\rb\r\nContent-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "NUL in a value": (POST + f"X: a\0b\r\nContent-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "two slashes": (POST.replace("/validate", "//validate") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "escaped path": (POST.replace("/validate", "/%76alidate") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "dots in the path": (POST.replace("/validate", "/validate/../mutate") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "time limit -1s": (POST.replace("10s", "-1s") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "4-"),
    "time limit of ages": (POST.replace("10s", "99999999999h") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "24"),
    "HTTP/1.0 in chunks": (POST.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n" + CHUNKED, "24-"),
    "HTTP/9.9": (POST.replace("1.1", "9.9") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "45-"),
    "preface of HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0" * 9, "4-"),
    "upgrade to HTTP/2": (
        POST + f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: {LENGTH}\r\n\r\n{BODY}",
        "24",
    ),
    "chunk of 2^64": (POST + f"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{BODY}", "4-"),
    "chunk of 2^64-1": (POST + f"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{BODY}", "4-"),
    "chunk of -1": (POST + f"Transfer-Encoding: chunked\r\n\r\n-1\r\n{BODY}", "4-"),
    "chunk 0x10": (POST + f"Transfer-Encoding: chunked\r\n\r\n0x10\r\n{BODY}", "4-"),
    "chunk with 100 KB of extension": (
        POST + f"Transfer-Encoding: chunked\r\n\r\n{LENGTH:x};{'a' * 100_000}\r\n{BODY}\r\n0\r\n\r\n", "4-",
    ),
    "chunks of a byte": (
        POST + "Transfer-Encoding: chunked\r\n\r\n" + "".join(f"1\r\n{byte}\r\n" for byte in BODY) + "0\r\n\r\n", "2",
    ),
    "2,000 trailers": (POST + f"Transfer-Encoding: chunked\r\n\r\n{LENGTH:x}\r\n{BODY}\r\n0\r\n" + "X-T: a\r\n" * 2_000 + "\r\n", "24-"),
    "chunk without its end": (POST + f"Transfer-Encoding: chunked\r\n\r\n{LENGTH:x}\r\n{BODY}0\r\n\r\n", "4-"),
    "header of 200 KB": (POST + f"X: {'a' * 200_000}\r\n\r\n", "4-"),
    "500 headers": (POST + "".join(f"X-{n}: a\r\n" for n in range(500)) + "\r\n", "4-"),
    "text/plain": (POST.replace("application/json", "text/plain") + f"Content-Length: {LENGTH}\r\n\r\n{BODY}", "4"),
    "GET": (POST.replace("POST", "GET") + "\r\n", "4"),
    "TRACE": (POST.replace("POST", "TRACE") + "\r\n", "4"),
    "CONNECT": ("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "4-"),
}


def statuses(stream, data, patience=0.12):
    """The statuses of everything that comes back."""
    received = b""
    try:
        stream.sendall(data)
        stream.settimeout(patience)
        while piece := stream.recv(65536):
            received += piece
    except (OSError, ssl.SSLError):
        pass
    return [status.decode() for status in re.findall(rb"HTTP/1\.[01] (\d+)", received)]


@attack("smuggling", "requests that two servers could take for two", seconds=10, whole=True)
def smuggling(target):
    for name, (data, allowed) in REQUESTS.items():
        with target.tls(timeout=2) as stream:
            got = statuses(stream, data.encode("latin-1"))
        target.count("+".join(got) or "none")
        first = got[0][0] if got else "-"
        if first not in allowed:
            target.fault(f"{name}: answered with {' '.join(got) or 'nothing'}")
        if got.count("200") > 1 or (name.startswith("length and") and "404" in got):
            target.fault(f"{name}: answered as two requests ({' '.join(got)})")


@attack("not-tls", "plain HTTP and HTTP/2 on the port of TLS, TLS on the port of the probes", seconds=4, whole=True)
def not_tls(target):
    for port, data in (
        (target.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (target.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (target.port, b"\x16\x03\x01\xff\xff" + b"\0" * 70_000),
        (target.admin, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (target.admin, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (target.admin, b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000),
        (target.admin, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" * 10),
        (target.admin, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"),
    ) * 3:
        with target.tcp(port=port) as stream:
            got = statuses(stream, data, 0.1)
        target.count("+".join(sorted(set(got))) or "none")
        if port == target.port and "200" in got:
            target.fault("answered without TLS")


DENIED, REFUSED, EITHER = {"deny"}, {"400"}, {"deny", "400"}


def written(text=None, object_=None, first="", last="", operation='"operation":"CREATE"', user=None, namespace='"namespace":"shop"'):
    """A review whose parts are written as they are."""
    parts = [
        first,
        '"uid":"u1"',
        '"resource":{"group":"","version":"v1","resource":"pods"}',
        namespace,
        operation,
        user or '"userInfo":{"username":"alice","groups":[]}',
        object_ if object_ is not None else f'"object":{POD}',
        last,
    ]
    review = '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{' + ",".join(filter(None, parts)) + "}}"
    return text(review) if text else review


POD = json.dumps(pod(), separators=(",", ":"))
PLAIN = json.dumps(pod(tolerations=None), separators=(",", ":"))
NUMBERS = ["NaN", "Infinity", "01", "+1", ".5", "1.", "1e", "0x1", "-", "'a'", "undefined", "True", "[1,]", '{"a":1,}', '{"a"}', "{1:2}", "/*c*/1", "1 2", "{,}", '"\\x41"', '"\\u12"']
REVIEWS = {
    "as it is": (written(), DENIED),
    "object twice, the intruder last": (written(object_=f'"object":{PLAIN},"object":{POD}'), EITHER),
    "operation twice": (written(last='"operation":"CREATE"'), EITHER),
    "operation after the object": (written(operation="", last='"operation":"CREATE"'), DENIED),
    "namespace before and after": (written(last='"namespace":"shop"'), EITHER),
    "escaped key of the object": (written(object_=f'"\\u006fbject":{POD}'), EITHER),
    "escaped key of tolerations": (written(lambda text: text.replace("tolerations", "toleratio\\u006es")), EITHER),
    "escaped value": (written(lambda text: text.replace('"automq"', '"\\u0061utomq"')), EITHER),
    "tolerations twice": (written(lambda text: text.replace('"tolerations":', '"tolerations":[],"tolerations":')), EITHER),
    "BOM": ("\ufeff" + written(), REFUSED),
    "NUL between tokens": (written(lambda text: text.replace(',"request"', ',\0"request"')), REFUSED),
    "line feed in a string": (written(lambda text: text.replace("alice", "al\nice")), REFUSED),
    "half of a surrogate pair": (written(lambda text: text.replace("alice", "\\ud800")), EITHER),
    "something behind it": (written() + "x", REFUSED),
    "two reviews": (written() + written(), REFUSED),
    "operation unknown": (written(operation='"operation":"PATCH"'), REFUSED),
    "operation in lower case": (written(operation='"operation":"create"'), REFUSED),
    "nested lists": (written(first='"x":' + "[" * 100_000 + "]" * 100_000), EITHER),
    "nested maps": (written(first='"x":' + '{"a":' * 100_000 + "1" + "}" * 100_000), EITHER),
    "lists without end": ("[" * (6 << 20), REFUSED),
    "maps without end": ('{"a":' * (1 << 20), REFUSED),
    "quotes": ('"' * (6 << 20), REFUSED),
    "backslashes": ('{"' + "\\" * (6 << 20), REFUSED),
    "spaces": (" " * (6 << 20), REFUSED),
    "one long number": ('{"a":' + "1" * (6 << 20) + "}", REFUSED),
    "key of 3 MiB": (written(first='"' + "k" * (3 << 20) + '":1'), EITHER),
    "escaped key of 6 MiB": (written(first='"' + "\\u0041" * (1 << 20) + '":1'), EITHER),
    "200,000 fields": (written(first=",".join(f'"a{n}":0' for n in range(200_000))), EITHER),
    **{f"not JSON: {value}": (written(first=f'"x":{value}'), REFUSED) for value in NUMBERS},
}
BYTES = {
    "UTF-16": (written().encode("utf-16"), REFUSED),
    "bytes that are not UTF-8": (written().encode().replace(b"alice", b"al\xff\xfe"), REFUSED),
    "overlong UTF-8": (written().encode().replace(b"alice", b"\xc0\x80"), REFUSED),
    "UTF-8 of a surrogate": (written().encode().replace(b"alice", b"\xed\xa0\x80"), REFUSED),
}


@attack("odd-json", "reviews that readers of JSON take in different ways, and texts that are none", seconds=10, whole=True)
def odd_json(target):
    stream = target.tls()
    for name, (body, allowed) in {**REVIEWS, **BYTES}.items():
        body = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        outcome = target.call(stream, body)
        if outcome == "200":
            allows = b'"allowed":true' in target.answer()
            outcome = "allow" if allows else "deny"
        if outcome not in allowed:
            target.fault(f"{name}: {outcome}, expected {' or '.join(sorted(allowed))}")
        if not outcome.isalpha() and not outcome.isdigit() or outcome in ("Closed", "TimeoutError"):
            stream = target.tls()
