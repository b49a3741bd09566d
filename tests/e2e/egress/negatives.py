
# Names that lead inside, and everything that says one name and means another.
def ask(host, *parts, port=81):
    s = dial(host, port); s.settimeout(60)
    for number, part in enumerate(parts):
        if number: time.sleep(1)
        s.sendall(part if isinstance(part, bytes) else part.encode())
    got = s.recv(100)
    if not got: raise ConnectionResetError("nothing came")
    return got
for name in ("inner", "self", "loop", "mixed", "meta"):
    step("leads-" + name)(lambda: ask(name + ".example", f"GET / HTTP/1.1\r\nHost: {name}.example\r\n\r\n"))
@step("connect-relay")
def _(): return ask("upload.example", "CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n")
@step("connect-relay-hidden")
def _(): return ask("upload.example", "CONNECT other.example:443 HTTP/1.1\r\nHost: upload.example\r\n\r\n")
@step("connect-then-other")
def _():
    # Through the relay that is allowed, and then somewhere else.
    s = dial("upload.example", 81); s.settimeout(60)
    s.sendall(b"CONNECT upload.example:81 HTTP/1.1\r\nHost: upload.example\r\n\r\n"); s.recv(100)
    s.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"); return s.recv(100)
@step("absolute-form")
def _(): return ask("upload.example", "GET http://other.example/ HTTP/1.1\r\nHost: upload.example\r\n\r\n")
@step("two-hosts")
def _(): return ask("upload.example", "GET / HTTP/1.1\r\nHost: upload.example\r\nHost: other.example\r\n\r\n")
@step("split-host")
def _(): return ask("upload.example", "GET / HTTP/1.1\r\nHo", "st: other.exa", "mple\r\n\r\n")
@step("smuggled-body")
def _(): return ask("upload.example", "POST / HTTP/1.1\r\nHost: upload.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0\r\n\r\nGET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
@step("h2-in-the-clear")
def _(): return ask("upload.example", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@step("control-name")
def _(): return ask("upload.example", b"GET / HTTP/1.1\r\nHost: \x1b[2J\xe2\x80\xaeevil\r\n\r\n")
def hello(name, extra=b""):
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    try: context.wrap_bio(inward, outward, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError: pass
    body = bytearray(outward.read())
    at = 9 + 2 + 32; at += 1 + body[at]; at += 2 + int.from_bytes(body[at:at + 2], "big"); at += 1 + body[at]
    body += extra
    for where, size, length in ((at, 2, len(body) - at - 2), (6, 3, len(body) - 9), (3, 2, len(body) - 5)):
        body[where:where + size] = length.to_bytes(size, "big")
    return bytes(body)
@step("tls-control-name")
def _():
    # As long as the honest name, with what a terminal obeys in it.
    return ask("upload.example", hello("upload.example").replace(b"upload.example", b"\x1b[2J\xe2\x80\xaeevil.ex"), port=4443)
@step("tls-encrypted-name")
def _(): return ask("upload.example", hello("upload.example", b"\xfe\x0d\0\x04\0\0\0\0"), port=4443)
@step("tls-without-name")
def _():
    s = dial("upload.example", 4443); s.sendall(hello(None)); s.shutdown(socket.SHUT_WR); return s.recv(10)
@step("labels")
def _(): return dial("c2VjcmV0.upload.example", 81)
